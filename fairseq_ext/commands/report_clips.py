"""Describe the clips and labels of a run: tables and a montage in RUN/corpus/, WER of the labels in RUN/scores/.

The labels are scored on the validation clips that people transcribed. `fairseq-ext report page` makes the page.
"""

import argparse
from pathlib import Path

from ._options import add_languages
from ._scored import add_origin

SUMMARY = "Count clips and labels of a run, score the labels"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--run", type=Path, required=True, help="folder with clips/, labels/ and manifests/")
    add_origin(parser)
    add_languages(parser, "languages of the run")


def run(args: argparse.Namespace) -> int:
    """Write the tables and print how good the labels are."""
    from ..report.clip_report import write_clip_report
    from ..scoring.scored_system import ScoredSystem
    from ..text.language_codes import KNOWN, read_codes

    merged = {folder.name for folder in (args.run / "manifests").glob("*/")}
    languages = read_codes(args.languages, KNOWN | merged)
    system = ScoredSystem("auto_label", "", 1, args.origin, args.command_line)
    print("\n".join(write_clip_report(args.run, languages, system)))
    return 0
