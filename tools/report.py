#!/usr/bin/env python3
"""Gather a run's rows into results.json, RESULTS.md and report.html.

tools/report.py RUN_DIR [--about recipes/<recipe>/report.json]
tools/report.py --markdown DIR   only writes DIR/RESULTS.md again from DIR/results.json
"""

import argparse
import sys
from pathlib import Path


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="?", metavar="RUN_DIR", help="run folder that holds rows/")
    parser.add_argument("--about", type=Path, help="the recipe's titles, order of rows and published figures")
    parser.add_argument("--no-umap", action="store_true", help="leave UMAP out (its import takes a while)")
    parser.add_argument("--markdown", type=Path, metavar="DIR", help="only write DIR/RESULTS.md")
    args = parser.parse_args()
    if bool(args.run) == bool(args.markdown):
        parser.error("expected RUN_DIR or --markdown DIR")
    return args


def report(args: argparse.Namespace) -> None:
    from fairseq_ext.report import results

    if args.markdown:
        print(results.rewrite_markdown(args.markdown))
        return
    from fairseq_ext.report.about import read_about
    from fairseq_ext.report.markdown import summary_text
    from fairseq_ext.report.page import write_report
    from fairseq_ext.report.run import Run

    about = read_about(args.about) if args.about else {}
    gathered = results.write_results(args.run, about)
    projections = ("t-SNE",) if args.no_umap else ("t-SNE", "UMAP")
    path = write_report(Run(args.run, gathered, projections))
    print(summary_text(gathered))
    print(f"report: {path.resolve()}")


def main() -> None:
    args = parse()
    try:
        report(args)
    except (ValueError, OSError) as error:
        sys.exit(f"report.py: {error}")


if __name__ == "__main__":
    main()
