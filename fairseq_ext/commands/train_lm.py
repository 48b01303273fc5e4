"""Train an n-gram language model of words for the beam search of recognisers; write an ARPA file.

  fairseq-ext train lm --text RUN/manifests/asr/train.wrd validated_sentences.tsv --language ca \\
      --exclude RUN/manifests/asr/valid.wrd RUN/manifests/asr/test.wrd --out RUN/lm.arpa
Text files hold a sentence per line; from .tsv files the column `sentence` is read. All texts are normalised.
"""

import argparse
from itertools import chain
from pathlib import Path

SUMMARY = "Train an n-gram language model (ARPA)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--text", type=Path, nargs="+", required=True, metavar="FILE", help="training text")
    parser.add_argument(
        "--exclude",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="sentences of the scored splits; they are dropped from the training text",
    )
    parser.add_argument(
        "--language", required=True, help="language whose rules normalise the text, such as ca"
    )
    parser.add_argument(
        "--case", choices=("lower", "upper"), default="lower", help="case of the recogniser (default: lower)"
    )
    parser.add_argument("--order", type=int, default=3, help="words of the longest n-grams (default: 3)")
    parser.add_argument("--out", type=Path, required=True, help="the ARPA file")


def run(args: argparse.Namespace) -> int:
    """Train, write, and print how much text there was and how much was held out."""
    from ..decoding.arpa import write_arpa
    from ..decoding.kneser_ney import train
    from ..text.sentences import read_sentences, training_text

    given, scored = (chain.from_iterable(map(read_sentences, files)) for files in (args.text, args.exclude))
    text = training_text(given, scored, args.language, case=args.case)
    model = train(text.sentences, args.order)
    write_arpa(args.out, model)
    print(
        f"{len(text.sentences)} sentences, {len(model.words)} words, order {model.order}; {text.num_held_out} scored "
        f"sentences left out; {args.out}"
    )
    return 0
