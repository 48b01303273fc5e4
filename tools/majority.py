#!/usr/bin/env python3
"""Score the answer that hears nothing, the most frequent class of the training split, for each manifest folder.

tools/majority.py --data accent=RUN/manifests/accent --label accent --scores RUN/scores --origin real
writes RUN/scores/<partition>/majority/seed1/{predictions.tsv,config.json,metrics.json} for each PARTITION=DIR.
"""

import argparse
import shlex
import sys
from pathlib import Path


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", required=True, metavar="PARTITION=DIR", help="manifest folders")
    parser.add_argument("--label", required=True, help="label stream, such as accent")
    parser.add_argument("--scores", type=Path, required=True, help="folder of all scored systems")
    parser.add_argument("--system", default="majority", help="name of the system")
    parser.add_argument("--origin", choices=["real", "synthetic"], required=True, help="of the recordings")
    parser.add_argument("--split", default="test", help="split to score")
    parser.add_argument(
        "--intervals-over", choices=["recordings", "speakers"], default="recordings", help="what is drawn"
    )
    return parser.parse_args()


def main() -> None:
    args = parse()
    from fairseq_ext.scoring import classification
    from fairseq_ext.scoring.majority import majority
    from fairseq_ext.scoring.scored_system import ScoredSystem

    command = shlex.join(["tools/majority.py", *sys.argv[1:]])
    for item in args.data:
        partition, _, folder = item.partition("=")
        system = ScoredSystem(args.system, partition, 1, args.origin, command)
        options = {"label": args.label, "split": args.split, "over": args.intervals_over}
        result = majority(system, system.folder(args.scores), data=Path(folder), **options)
        print(f"{partition}/{args.system}: {classification.figures(result)} of {result['n']} recordings")


if __name__ == "__main__":
    main()
