#!/usr/bin/env python3
"""Train an n-gram language model of words for the beam search of recognisers; writes an ARPA file.

tools/train_lm.py --text RUN/manifests/asr/train.wrd validated_sentences.tsv --language ca \\
    --exclude RUN/manifests/asr/valid.wrd RUN/manifests/asr/test.wrd --out RUN/lm.arpa
Text files hold a sentence a line; of .tsv files the column `sentence` is read. All are normalised.
"""

import argparse
import sys
from itertools import chain
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--text", type=Path, nargs="+", required=True, metavar="FILE", help="to learn from")
    parser.add_argument(
        "--exclude", type=Path, nargs="+", required=True, metavar="FILE", help="sentences that are scored"
    )
    parser.add_argument("--language", required=True, help="whose rules normalise the text, such as ca")
    parser.add_argument("--case", choices=("lower", "upper"), default="lower", help="of the recogniser")
    parser.add_argument("--order", type=int, default=3, help="words of the longest n-grams (default: 3)")
    parser.add_argument("--out", type=Path, required=True, help="the ARPA file")
    return parser.parse_args()


def main() -> None:
    """Read, train, write; say how much text there was and how much was held out."""
    from fairseq_ext.decoding.arpa import write_arpa
    from fairseq_ext.decoding.kneser_ney import train
    from fairseq_ext.text.sentences import read_sentences, training_text

    args = parse_args()
    try:
        given, scored = (
            chain.from_iterable(map(read_sentences, files)) for files in (args.text, args.exclude)
        )
        text = training_text(given, scored, args.language, case=args.case)
        model = train(text.sentences, args.order)
    except (ValueError, OSError) as error:
        sys.exit(f"train_lm.py: {error}")
    write_arpa(args.out, model)
    print(
        f"{len(text.sentences)} sentences, {len(model.words)} words, order {model.order}; {text.num_held_out} scored "
        f"sentences left out; {args.out}"
    )


if __name__ == "__main__":
    main()
