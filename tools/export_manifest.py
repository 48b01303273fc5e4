#!/usr/bin/env python3
"""Write manifests of prepared clips in the formats of AV-HuBERT (tsv, wrd, dict.wrd.txt) or auto_avsr (csv, units.txt).

    tools/train_pieces.py --manifest MANIFESTS/fr --out MANIFESTS/fr/spm.model
    tools/export_manifest.py --manifest MANIFESTS/fr --to auto_avsr --pieces MANIFESTS/fr/spm.model --out OUT

The clips stay where they are. Texts come from SPLIT.wrd where there is one, else from the sidecar.
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
    parser.add_argument(
        "--to", choices=("av_hubert", "auto_avsr"), required=True, help="whose format to write"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the new files, not that of --manifest"
    )
    parser.add_argument(
        "--splits",
        nargs="+",
        help="stems of the tsv files (default: those of train, valid and test that are there)",
    )
    parser.add_argument(
        "--pieces",
        type=Path,
        help="SentencePiece model of tools/train_pieces.py: units of auto_avsr, needed; of AV-HuBERT's dictionary, "
        "words without it",
    )
    args = parser.parse_args()
    if (args.pieces or args.to == "auto_avsr") and not (args.pieces and args.pieces.is_file()):
        parser.error(
            f"--pieces: a SentencePiece model expected, found {args.pieces or 'none'}; run tools/train_pieces.py "
            f"--manifest {args.manifest} --out {args.pieces or args.manifest / 'spm.model'}"
        )
    return args


def main() -> None:
    """Export every split, then say how many rows."""
    from fairseq_ext.corpora import auto_avsr_format, av_hubert_format
    from fairseq_ext.text.units import SentencePieces

    args = parse_args()
    try:
        splits = av_hubert_format.find_splits(args.manifest, args.splits or ())
        pieces = SentencePieces.load(args.pieces) if args.pieces else None
        for split in splits:
            if args.to == "auto_avsr" and pieces is not None:
                num_rows = auto_avsr_format.export(args.manifest, split, args.out, pieces)
            else:
                num_rows = av_hubert_format.export(args.manifest, split, args.out)
            print(f"{args.out / split}: {num_rows} clips")
        if args.to == "av_hubert":
            av_hubert_format.export_dictionary(args.manifest, args.out, split=splits[0], pieces=pieces)
    except (OSError, ValueError) as error:
        sys.exit(f"export_manifest.py: {error}")


if __name__ == "__main__":
    main()
