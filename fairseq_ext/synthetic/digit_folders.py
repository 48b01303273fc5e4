"""The built-in digits as a folder per class, `<word>/<speaker>/<index>.wav`: an example of anybody's data set.

The recordings are those of `synthetic.fsdd`, 8 kHz. They are first written in its layout to `.fsdd` below the folder,
which readers skip because it is hidden, so that an interrupted run continues.
"""

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

from . import fsdd
from .corpus_folder import LABEL_FILE, describe

SUMMARY = "The digits of fsdd as a folder per class, for recipes/TEMPLATE"


def write(root: str | Path, **options: Any) -> int:
    """Write the folders, or what is missing of them, as `fsdd.write` does; return the number of recordings."""
    root = Path(root)
    source = root / ".fsdd"
    fsdd.write(source, **options)
    shutil.copyfile(source / LABEL_FILE, root / LABEL_FILE)
    recordings = sorted((source / "recordings").glob("*.wav"))
    for recording in recordings:
        digit, speaker, index = recording.stem.split("_")
        target = root / fsdd.ENGLISH[int(digit)] / speaker / f"{index}.wav"
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            os.link(recording, target)  # a second name of the same file: whole at once, and no second copy
    return len(recordings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this corpus to a parser."""
    fsdd.add_arguments(parser)
    about = "the first N of the 6 speakers (default: 6)"
    parser.add_argument("--num-speakers", type=int, default=len(fsdd.SPEAKERS), help=about)


def run(args: argparse.Namespace) -> str:
    """Write the corpus as the command line asks; return a line that says what there is now."""
    speakers = list(fsdd.SPEAKERS)[: args.num_speakers]
    options = {"num_per_digit": args.num_per_digit, "seed": args.seed, "num_workers": args.workers}
    return describe({"recordings": write(args.out, speakers=speakers, **options)}, args.out)
