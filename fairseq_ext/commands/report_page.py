"""Gather the scores of a run into results.json, RESULTS.md and report.html.

fairseq-ext report page RUN [--about recipes/<recipe>/report.json]
fairseq-ext report page --markdown DIR   only writes DIR/RESULTS.md again from DIR/results.json
"""

import argparse
from pathlib import Path

SUMMARY = "Write the results and the report page of a run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("run", type=Path, nargs="?", metavar="RUN", help="run folder that holds scores/")
    parser.add_argument(
        "--about", type=Path, help="titles, order of systems and published figures, as a recipe's report.json"
    )
    parser.add_argument(
        "--best", metavar="SYSTEM", help="classifier shown in detail, in the place of what --about says"
    )
    parser.add_argument("--no-umap", action="store_true", help="leave UMAP out (its import takes a while)")
    parser.add_argument("--markdown", type=Path, metavar="DIR", help="only write DIR/RESULTS.md")


def run(args: argparse.Namespace) -> int:
    """Write the files and print the summary table."""
    if bool(args.run) == bool(args.markdown):
        raise argparse.ArgumentError(None, "give either RUN or --markdown DIR")
    from ..report import results

    if args.markdown:
        print(results.rewrite_markdown(args.markdown))
        return 0
    from ..report.about import read_about
    from ..report.markdown import summary_text
    from ..report.page import write_report
    from ..report.run import Run

    about = read_about(args.about) if args.about else {}
    if args.best:
        about["best"] = args.best
    gathered = results.write_results(args.run, about)
    if args.best and args.best not in {system["system"] for system in gathered["systems"]}:
        raise ValueError(f"--best {args.best}: no such system was scored; see {args.run}/results.json")
    projections = ("t-SNE",) if args.no_umap else ("t-SNE", "UMAP")
    path = write_report(Run(args.run, gathered, projections))
    print(summary_text(gathered))
    print(f"report: {path.resolve()}")
    return 0
