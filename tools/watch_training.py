"""Progress of trainings that run side by side: one bar, with the update and loss of those under way."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from tqdm import tqdm


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "list", type=Path, help="trainings, one a line: row, config, protocol, seed, ... (tabs)"
    )
    parser.add_argument("train_dir", type=Path, help="folder of the trainings: PROTOCOL/ROW/seedN below it")
    parser.add_argument("--pid", type=int, required=True, help="stop when this process is gone")
    often = 2.0 if sys.stderr.isatty() else 30.0  # a log file wants a line now and then
    parser.add_argument(
        "--every-s", type=float, default=often, help="seconds between lines (default: %(default)s)"
    )
    return parser.parse_args()


def folders(list_path: Path, train_dir: Path) -> list[Path]:
    """Folder of each training in the list, in its order."""
    rows = (line.split("\t") for line in list_path.read_text(encoding="utf-8").splitlines())
    return [train_dir / protocol / row / f"seed{seed}" for row, _, protocol, seed, *_ in rows]


def last_update(folder: Path) -> str:
    """`row: 120/1200 loss 0.41` from the end of a training's JSON log; empty before its first line."""
    log = folder / "train.log"
    if not log.exists():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 4096))
        lines = stream.read().decode("utf-8", "replace").splitlines()
    for line in reversed(lines):
        start = line.find("{")
        if start >= 0 and '"num_updates"' in line:
            try:
                row = json.loads(line[start:])
            except json.JSONDecodeError:
                continue
            key = next((k for k in ("loss", "train_loss") if k in row), None)
            update = row.get("num_updates", row.get("train_num_updates"))
            return f"{folder.parent.name} {update}" + (f" loss {row[key]}" if key else "")
    return ""


def alive(pid: int) -> bool:
    """Whether the process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    """Follow until all are done or the run is gone."""
    args = parse_args()
    wanted = folders(args.list, args.train_dir)
    with tqdm(total=len(wanted), unit="training", smoothing=0.1, mininterval=args.every_s, miniters=0) as bar:
        while alive(args.pid):
            done = [(folder / "done").exists() for folder in wanted]
            bar.n = sum(done)
            running = [last_update(f) for f, finished in zip(wanted, done, strict=True) if not finished]
            bar.set_postfix_str(" | ".join(filter(None, running))[:100], refresh=False)
            bar.update(0)
            if all(done):
                return
            time.sleep(1.0)


if __name__ == "__main__":
    main()
