#!/usr/bin/env python3
"""Convert speech models between Hugging Face (wav2vec 2.0, HuBERT, WavLM) and fairseq; says what became of each weight.

tools/convert_checkpoint.py FOLDER model.pt     Hugging Face -> fairseq: ext_ctc, or ext_wav2vec2 if it has no CTC head
tools/convert_checkpoint.py checkpoint.pt FOLDER    ours or stock fairseq's -> Hugging Face, for transformers
"""

import argparse
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="folder of Hugging Face's, or checkpoint of fairseq")
    parser.add_argument("out", type=Path, help="checkpoint or folder to appear")
    parser.add_argument(
        "--reader",
        choices=["fairseq_ext", "fairseq"],
        default="fairseq_ext",
        help="whose classes a written checkpoint names: fairseq = to use it without this plugin",
    )
    parser.add_argument(
        "--family",
        choices=["wav2vec2", "hubert", "wavlm"],
        help="what a written folder is said to be (default: what the checkpoint says)",
    )
    parser.add_argument(
        "--dictionary", type=Path, help="dict.ltr.txt, for a checkpoint that does not hold its own"
    )
    return parser.parse_args()


def main() -> None:
    """Convert, then account for every weight."""
    args = parse_args()
    from fairseq_ext.checkpoints.convert import convert  # fairseq takes seconds to import

    try:
        report = convert(
            args.source, args.out, reader=args.reader, family=args.family, dictionary=args.dictionary
        )
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"convert_checkpoint.py: {error}")
    print("\n".join(report.lines()))


if __name__ == "__main__":
    main()
