"""Write a synthetic corpus in the published layout of a real one: make_synthetic.py fsdd --out DIR."""

import argparse
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    corpora = parser.add_subparsers(dest="corpus", required=True, metavar="CORPUS")
    fsdd = corpora.add_parser("fsdd", help="Free Spoken Digit Dataset: 10 digits, 6 speakers, 8 kHz")
    fsdd.add_argument(
        "--out", type=Path, required=True, help="folder of the corpus; an interrupted run continues"
    )
    fsdd.add_argument(
        "--num-per-digit", type=int, default=50, help="recordings per digit and speaker (default: 50)"
    )
    fsdd.add_argument("--seed", type=int, default=1, help="another seed gives other takes (default: 1)")
    return parser.parse_args()


def main() -> None:
    """Write the corpus and say where it is."""
    from fairseq_ext.synthetic import fsdd
    from fairseq_ext.synthetic.speech import SpeechError

    args = parse_args()
    try:
        count = fsdd.write(args.out, num_per_digit=args.num_per_digit, seed=args.seed)
    except (ValueError, SpeechError) as error:
        sys.exit(f"make_synthetic.py: {error}")
    print(f"{count} recordings in {args.out}")


if __name__ == "__main__":
    main()
