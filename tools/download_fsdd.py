#!/usr/bin/env python3
"""Download the Free Spoken Digit Dataset from its public home; a download that was cut off continues."""

import argparse
from pathlib import Path

from fairseq_ext.commands.main import run_tool
from fairseq_ext.commands.prepare_fsdd import download

SUMMARY = "Download the Free Spoken Digit Dataset"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--out", type=Path, required=True, help="folder that will hold recordings/")


def run(args: argparse.Namespace) -> int:
    """Download, check and unpack the recordings."""
    download(args.out)
    print(f"recordings in {args.out}")
    return 0


if __name__ == "__main__":
    run_tool(__file__)
