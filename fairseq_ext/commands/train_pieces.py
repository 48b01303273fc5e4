"""Train SentencePiece pieces on the transcripts of a manifest: the units of `fairseq-ext convert from-manifest`.

  fairseq-ext train pieces --manifest MANIFESTS/fr --num-pieces 1000 --out MANIFESTS/fr/spm.model

SPLIT.wrd is read as it is, a sentence per line: case and spelling are those of the manifest. The same texts give the
same pieces.
"""

import argparse
from pathlib import Path

SUMMARY = "Train SentencePiece units on transcripts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--manifest", type=Path, required=True, help="manifest folder")
    parser.add_argument(
        "--split", default="train", help="split whose texts are learned from (default: train)"
    )
    parser.add_argument(
        "--num-pieces",
        type=int,
        default=1000,
        help="most pieces, <unk> not counted (default: 1000); little text gives fewer",
    )
    parser.add_argument(
        "--kind", choices=("unigram", "bpe"), default="unigram", help="algorithm (default: unigram)"
    )
    parser.add_argument("--out", type=Path, required=True, help="the .model file")


def run(args: argparse.Namespace) -> int:
    """Train, write, and print the number of pieces."""
    from ..corpora.av_hubert_format import find_splits
    from ..manifest import read_labels
    from ..text.units import train_pieces

    find_splits(args.manifest, [args.split])
    texts = list(read_labels(args.manifest, args.split, "wrd"))
    pieces = train_pieces(texts, args.num_pieces, kind=args.kind)
    pieces.save(args.out)
    print(f"{args.out}: {len(pieces.symbols)} pieces of {len(texts)} sentences")
    return 0
