#!/usr/bin/env python3
"""Train SentencePiece pieces on the transcripts of a manifest: the units that tools/export_manifest.py writes.

    tools/train_pieces.py --manifest MANIFESTS/fr --num-pieces 1000 --out MANIFESTS/fr/spm.model

SPLIT.wrd is read, a sentence a line, as it is: case and spelling are those of the manifest. The same texts give the
same pieces.
"""

import argparse
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manifest", type=Path, required=True, help="folder of our manifests")
    parser.add_argument("--split", default="train", help="whose texts to learn from (default: train)")
    parser.add_argument(
        "--num-pieces",
        type=int,
        default=1000,
        help="at most, <unk> not counted (default: 1000); little text has fewer",
    )
    parser.add_argument("--kind", choices=("unigram", "bpe"), default="unigram", help="default: unigram")
    parser.add_argument("--out", type=Path, required=True, help="the .model file")
    return parser.parse_args()


def main() -> None:
    """Read, train, write; say how many pieces."""
    from fairseq_ext.corpora.av_hubert_format import find_splits
    from fairseq_ext.manifest import read_labels
    from fairseq_ext.text.units import train_pieces

    args = parse_args()
    try:
        find_splits(args.manifest, [args.split])
        texts = list(read_labels(args.manifest, args.split, "wrd"))
        pieces = train_pieces(texts, args.num_pieces, kind=args.kind)
        pieces.save(args.out)
    except (OSError, ValueError) as error:
        sys.exit(f"train_pieces.py: {error}")
    print(f"{args.out}: {len(pieces.symbols)} pieces of {len(texts)} sentences")


if __name__ == "__main__":
    main()
