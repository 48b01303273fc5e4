"""Start-up time and memory of our manifest index beside stock fairseq's FileAudioDataset, on the same tsv.

Each runs in its own process; imports are not counted. Memory is the growth of resident private memory
(RssAnon of /proc/self/status) and of all resident memory (VmRSS) from before the index is built to after.
`random access` is the mean time to look up a row's path. The table of rows
per second is preparation: our writer and reader of whole manifests.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

NUM_LOOKUPS = 10_000


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the manifest (default: 1000000)")
    parser.add_argument(
        "--ours-rows", type=int, default=10_000_000, help="rows of a second one, ours only; 0: none"
    )
    parser.add_argument("--measure", choices=["ours", "stock", "write_read"], help=argparse.SUPPRESS)
    parser.add_argument("--tsv", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def resident_mb() -> dict[str, float]:
    """Resident memory of this process in MB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(lines[name].split()[0]) / 1000 for name in ("RssAnon", "VmRSS", "VmHWM")}


def build_ours(tsv: Path) -> tuple[Callable[[], object], Callable[[object, int], object]]:
    """Our index and its look-up."""
    from fairseq_ext.line_index import AudioIndex

    return lambda: AudioIndex(tsv), lambda index, i: index.entry(i).path  # type: ignore[attr-defined]


def build_stock(tsv: Path) -> tuple[Callable[[], object], Callable[[object, int], object]]:
    """Stock fairseq's dataset and what it does to find a row's path."""
    import logging

    logging.disable(logging.CRITICAL)
    from fairseq.data import FileAudioDataset

    with contextlib.suppress(ImportError):
        import pyarrow  # noqa: F401 - FileAudioDataset uses it where it is installed; an import, not start-up
    return lambda: FileAudioDataset(str(tsv), 16000), lambda data, i: str(data.fnames[i])  # type: ignore[attr-defined]


def measure_write_read(folder: Path, num_rows: int) -> dict[str, float]:
    """Write and read a manifest with label file and sidecar; return rows per second and MB."""
    from fairseq_ext.manifest import Utterance, read_manifest, write_manifest

    rows = (
        Utterance(
            f"{i}",
            f"speaker_{i % 1000}/{i}.wav",
            16000 + i % 1000,
            transcript="és allà",
            speaker=f"{i % 1000}",
        )
        for i in range(num_rows)
    )
    before, start = resident_mb(), time.perf_counter()
    write_manifest(folder, "rows", rows, root=folder, labels={"wrd": lambda u: u.transcript or ""})
    written = time.perf_counter()
    num_read = sum(1 for _ in read_manifest(folder, "rows"))
    return {
        "written rows/s": num_rows / (written - start),
        "read rows/s": num_read / (time.perf_counter() - written),
        "peak growth MB": resident_mb()["VmHWM"] - before["VmRSS"],
    }


def measure(which: str, tsv: Path, num_rows: int) -> dict[str, float]:
    """Build one index in this process; return seconds and MB."""
    if which == "write_read":
        return measure_write_read(tsv.parent, num_rows)
    build, look_up = {"ours": build_ours, "stock": build_stock}[which](tsv)
    before, start = resident_mb(), time.perf_counter()
    index = build()
    seconds = time.perf_counter() - start
    after = resident_mb()
    num_rows = len(index)  # type: ignore[arg-type]
    start = time.perf_counter()
    for i in range(NUM_LOOKUPS):
        look_up(index, i * 7919 % num_rows)
    look_up_us = (time.perf_counter() - start) / NUM_LOOKUPS * 1e6
    return {
        "start-up s": seconds,
        "RssAnon growth MB": after["RssAnon"] - before["RssAnon"],
        "VmRSS growth MB": after["VmRSS"] - before["VmRSS"],
        "peak growth MB": after["VmHWM"] - before["VmRSS"],
        "random access us": look_up_us,
    }


def write_tsv(path: Path, num_rows: int) -> None:
    """Write a tsv shaped like that of a large speech corpus: 38 characters of path, 1-30 s of audio."""
    with open(path, "w", encoding="utf-8") as file:
        print("/corpora/some_corpus", file=file)
        for i in range(num_rows):
            file.write(
                f"speaker_{i % 10007:05}/chapter_{i % 97:02}/{i:09}.flac\t{16000 + i * 7919 % 464000}\n"
            )


def in_a_process(which: str, tsv: Path, num_rows: int) -> dict[str, float]:
    """Run `measure` in a fresh interpreter."""
    command = [sys.executable, __file__, "--measure", which, "--tsv", str(tsv), "--rows", str(num_rows)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


def print_table(num_rows: int, columns: dict[str, dict[str, float]]) -> None:
    """One row per figure; with both systems, how many times less ours needs."""
    print(
        f"\n{num_rows:,} rows".ljust(22)
        + "".join(f"{name:>12}" for name in columns)
        + f"{'ratio':>12}" * (len(columns) > 1)
    )
    for name in next(iter(columns.values())):
        values = [column[name] for column in columns.values()]
        ratio = f"{values[1] / values[0]:>11.2g}x" if len(values) > 1 and values[0] > 0 else ""
        print(f"{name:21}" + "".join(f"{value:>12.2f}" for value in values) + ratio)


def main() -> None:
    """Write the manifests, measure the indexes and print the figures."""
    args = parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure, args.tsv, args.rows)))
        return
    with tempfile.TemporaryDirectory() as folder:
        tsv = Path(folder) / "train.tsv"
        write_tsv(tsv, args.rows)
        print_table(args.rows, {which: in_a_process(which, tsv, args.rows) for which in ("ours", "stock")})
        print_table(args.rows, {"ours": in_a_process("write_read", tsv, args.rows)})
        if args.ours_rows:
            write_tsv(tsv, args.ours_rows)
            print_table(args.ours_rows, {"ours": in_a_process("ours", tsv, args.ours_rows)})


if __name__ == "__main__":
    main()
