#!/usr/bin/env python3
"""Count a run's clips and labels: tables and a montage in RUN/corpus/, word error rates of the labels in RUN/scores/.

The labels are scored on the validation clips that people transcribed. tools/report.py makes the page.
"""

import argparse
import shlex
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder with clips/, labels/ and manifests/")
    parser.add_argument("--origin", choices=("real", "synthetic"), required=True, help="of the videos")
    parser.add_argument("--languages", default="fr,it,es,pt", help="that were wanted (default: fr,it,es,pt)")
    return parser.parse_args()


def main() -> None:
    """Count, write, say how good the labels are."""
    from fairseq_ext.report.clip_report import write_clip_report
    from fairseq_ext.scoring.scored_system import ScoredSystem

    args = parse_args()
    system = ScoredSystem(
        "auto_label", "", 1, args.origin, shlex.join(["tools/report_clips.py", *sys.argv[1:]])
    )
    try:
        print("\n".join(write_clip_report(args.run, args.languages.split(","), system)))
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"report_clips.py: {error}")


if __name__ == "__main__":
    main()
