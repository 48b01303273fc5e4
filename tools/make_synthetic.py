#!/usr/bin/env python3
"""Write a synthetic corpus in the published layout of a real one: make_synthetic.py CORPUS --out DIR."""

import argparse
import importlib
import pkgutil
from pathlib import Path

from fairseq_ext.commands.main import run_tool

SUMMARY = "Write a synthetic corpus in the layout of a real one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a sub-command per corpus: every module of `fairseq_ext.synthetic` with a SUMMARY."""
    from fairseq_ext import synthetic

    corpora = parser.add_subparsers(required=True, metavar="CORPUS")
    for found in pkgutil.iter_modules(synthetic.__path__, f"{synthetic.__name__}."):
        corpus = importlib.import_module(found.name)
        if hasattr(corpus, "SUMMARY"):
            name = found.name.rpartition(".")[2]
            options = corpora.add_parser(name, help=corpus.SUMMARY, description=corpus.SUMMARY)
            options.set_defaults(write=corpus.run)
            corpus.add_arguments(options)
            add_common_arguments(options)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of every corpus."""
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the corpus; a killed run continues"
    )
    parser.add_argument("--seed", type=int, default=1, help="another seed gives other takes (default: 1)")
    parser.add_argument("--workers", type=int, default=1, help="number of processes (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Write the corpus and print where it is."""
    print(args.write(args))
    return 0


if __name__ == "__main__":
    run_tool(__file__)
