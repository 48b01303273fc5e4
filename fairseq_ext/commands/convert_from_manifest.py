"""Write manifests of prepared clips in the formats of AV-HuBERT (tsv, wrd, dict.wrd.txt) or auto_avsr (csv, units.txt).

  fairseq-ext train pieces --manifest MANIFESTS/fr --out MANIFESTS/fr/spm.model
  fairseq-ext convert from-manifest --manifest MANIFESTS/fr --to auto_avsr --pieces MANIFESTS/fr/spm.model --out OUT

The clips stay where they are. Texts come from SPLIT.wrd if it exists, else from the sidecar.
"""

import argparse
from pathlib import Path

SUMMARY = "Write AV-HuBERT or auto_avsr manifests"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--manifest", type=Path, required=True, help="manifest folder to read")
    parser.add_argument("--to", choices=("av_hubert", "auto_avsr"), required=True, help="format to write")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the new files, not that of --manifest"
    )
    parser.add_argument(
        "--splits",
        nargs="+",
        help="stems of the tsv files (default: those of train, valid and test that exist)",
    )
    parser.add_argument(
        "--pieces",
        type=Path,
        help="SentencePiece model of `fairseq-ext train pieces`: the units of auto_avsr, which requires it; for "
        "AV-HuBERT the entries of the dictionary (default: words)",
    )


def run(args: argparse.Namespace) -> int:
    """Export every split and print the number of clips."""
    if (args.pieces or args.to == "auto_avsr") and not (args.pieces and args.pieces.is_file()):
        raise argparse.ArgumentError(
            None,
            f"--pieces: expected a SentencePiece model, found {args.pieces or 'none'}; run fairseq-ext train pieces "
            f"--manifest {args.manifest} --out {args.pieces or args.manifest / 'spm.model'}",
        )
    from ..corpora import auto_avsr_format, av_hubert_format
    from ..text.units import SentencePieces

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
    return 0
