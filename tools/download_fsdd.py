#!/usr/bin/env python3
"""Download the Free Spoken Digit Dataset from its public home; a download that was cut off continues."""

import argparse
from pathlib import Path

from fairseq_ext.commands._progress import progress_bar
from fairseq_ext.commands.main import run_tool

SUMMARY = "Download the Free Spoken Digit Dataset"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--out", type=Path, required=True, help="folder that will hold recordings/")


def run(args: argparse.Namespace) -> int:
    """Download, check and unpack the recordings."""
    from fairseq_ext.corpora import fsdd

    with progress_bar(unit="B", unit_scale=True, desc="download") as show:
        fsdd.download(args.out, progress=show)
    print(f"recordings in {args.out}")
    return 0


if __name__ == "__main__":
    run_tool(__file__)
