"""Convert speech models between Hugging Face (wav2vec 2.0, HuBERT, WavLM) and fairseq, and account for every weight.

fairseq-ext convert checkpoint FOLDER model.pt        Hugging Face -> fairseq: ext_ctc, or ext_wav2vec2 without a
                                                      CTC head
fairseq-ext convert checkpoint checkpoint.pt FOLDER   ours or stock fairseq's -> Hugging Face, for transformers
"""

import argparse
from pathlib import Path

SUMMARY = "Convert between Hugging Face folders and fairseq"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("source", type=Path, help="Hugging Face folder or fairseq checkpoint to read")
    parser.add_argument("out", type=Path, help="checkpoint or folder to write")
    parser.add_argument(
        "--reader",
        choices=["fairseq_ext", "fairseq"],
        default="fairseq_ext",
        help="whose classes a written checkpoint names; fairseq: usable without this plugin (default: fairseq_ext)",
    )
    parser.add_argument(
        "--family",
        choices=["wav2vec2", "hubert", "wavlm"],
        help="model type of a written folder (default: that of the checkpoint)",
    )
    parser.add_argument("--dictionary", type=Path, help="dict.ltr.txt, for a checkpoint that lacks it")


def run(args: argparse.Namespace) -> int:
    """Convert, then print what became of every weight."""
    from ..checkpoints.convert import convert

    options = {"reader": args.reader, "family": args.family, "dictionary": args.dictionary}
    print("\n".join(convert(args.source, args.out, **options).lines()))
    return 0
