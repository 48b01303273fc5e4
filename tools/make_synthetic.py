#!/usr/bin/env python3
"""Write a synthetic corpus in the published layout of a real one: make_synthetic.py CORPUS --out DIR."""

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Parse the command line; every module of `fairseq_ext.synthetic` with a SUMMARY is a corpus."""
    from fairseq_ext import synthetic

    parser = argparse.ArgumentParser(description=__doc__)
    corpora = parser.add_subparsers(required=True, metavar="CORPUS")
    for found in pkgutil.iter_modules(synthetic.__path__, f"{synthetic.__name__}."):
        corpus = importlib.import_module(found.name)
        if hasattr(corpus, "SUMMARY"):
            name = found.name.rpartition(".")[2]
            options = corpora.add_parser(name, help=corpus.SUMMARY, description=corpus.SUMMARY)
            options.set_defaults(run=corpus.run)
            corpus.add_arguments(options)
            add_common_arguments(options)
    return parser.parse_args()


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of every corpus."""
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the corpus; a killed run continues"
    )
    parser.add_argument("--seed", type=int, default=1, help="another seed gives other takes (default: 1)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")


def main() -> None:
    """Write the corpus and say where it is."""
    args = parse_args()
    try:
        print(args.run(args))
    except (ValueError, RuntimeError, ModuleNotFoundError) as error:
        sys.exit(f"make_synthetic.py: {error}")


if __name__ == "__main__":
    main()
