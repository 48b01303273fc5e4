"""The corpus of step pretraining: synthetic Catalan in the layout of Common Voice, and its manifests.

As a program it makes them, which run.py starts at once, so that the cores work while the GPU measures other things:

    python tests/gpu/corpus.py OUT JOBS [--tiny]
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
STATUS = "status"  # file that appears at the end: 0 when the corpus is complete
# 36 times real time per core to synthesise, 144 times to convert, on a loaded AMD EPYC: 5 hours take 10 cores 65 s.
FULL = {
    "train-speakers": 16,
    "dev-speakers": 8,
    "test-speakers": 16,
    "other-speakers": 160,
    "train-minutes": 11,
    "dev-minutes": 3,
    "test-minutes": 8,
    "other-minutes": 300,
    "num-unread": 0,
}
TINY = {
    "train-speakers": 4,
    "dev-speakers": 4,
    "test-speakers": 4,
    "other-speakers": 4,
    "train-minutes": 0.4,
    "dev-minutes": 0.2,
    "test-minutes": 0.2,
    "other-minutes": 0.2,
    "num-unread": 0,
}
LABEL_MINUTES = {False: 10.0, True: 0.3}


def partition(*, tiny: bool) -> str:
    """Return the partition with few labels: 10 minutes of them, or all in a tiny run."""
    return "asr" if tiny else "asr_10min"


def start(out: Path, *, jobs: int, tiny: bool) -> "subprocess.Popen[bytes]":
    """Start making the corpus, in a process group of its own and behind all other work."""
    out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, str(out), str(jobs), *(["--tiny"] if tiny else [])]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with (out / "corpus.log").open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def make(out: Path, jobs: int, *, tiny: bool) -> None:
    """Make corpus, FLAC files and manifests by the tools that the recipe calls; print the seconds of each."""
    sizes = [text for name, value in (TINY if tiny else FULL).items() for text in (f"--{name}", str(value))]
    clips, audio = out / "corpus" / "ca", out / "audio"
    workers = ["--workers", str(jobs)]
    manifests = ["--out", out / "run" / "manifests", "--minutes", LABEL_MINUTES[tiny]]
    commands = [
        ["make_synthetic.py", "common_voice", "--locale", "ca", "--out", out / "corpus", *workers, *sizes],
        ["prepare_audio.py", "--source", clips / "clips", "--out", audio, *workers],
        ["prepare_common_voice.py", "--corpus", clips, "--audio", audio, "--language", "ca", *manifests],
    ]
    for tool, *arguments in commands:
        began = time.monotonic()
        command = [sys.executable, str(REPOSITORY / "tools" / str(tool)), *map(str, arguments)]
        subprocess.run(command, check=True)
        print(f"seconds of {tool}: {time.monotonic() - began:.1f}", flush=True)


def main() -> None:
    """Make the corpus."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("jobs", type=int)
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    from fairseq_ext.files import (
        write_bytes,  # not above: run.py imports this file before fairseq imports the plugin
    )

    os.nice(10)  # what the GPU waits for goes first
    status = "1"
    try:
        make(args.out, args.jobs, tiny=args.tiny)
        status = "0"
    finally:
        write_bytes(args.out / STATUS, status.encode())


if __name__ == "__main__":
    main()
