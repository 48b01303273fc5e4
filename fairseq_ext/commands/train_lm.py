"""Train an n-gram language model of words for the beam search of recognisers; write an ARPA file.

  fairseq-ext train lm --text RUN/manifests/asr/train.wrd validated_sentences.tsv --language ca \\
      --exclude RUN/manifests/asr/valid.wrd RUN/manifests/asr/test.wrd --out RUN/lm.arpa
Text files hold a sentence per line; from .tsv files the column `sentence` is read. The .wrd files of manifests are
taken as they are, and all other texts are spelled like them, as their spelling.json says. Rows and sentences that
cannot be read are left out, counted, and listed in OUT.skipped.txt; OUT.spelling.json says how the words are spelled.
"""

import argparse
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
    parser.add_argument("--language", default="", help="language whose rules spell the text, such as ca (default: "
        "that of the manifest's spelling.json)")  # fmt: skip
    parser.add_argument("--case", choices=("lower", "upper"), default="", help="case of the recogniser (default: that "
        "of spelling.json, else lower)")  # fmt: skip
    parser.add_argument("--order", type=int, default=3, help="words of the longest n-grams (default: 3)")
    parser.add_argument("--out", type=Path, required=True, help="the ARPA file")


def run(args: argparse.Namespace) -> int:
    """Train, write, and print how much text there was and how much was held out."""
    from ..decoding.arpa import write_arpa
    from ..decoding.kneser_ney import train
    from ..files import atomic_write
    from ..text.sentences import common_spelling, training_text
    from ..text.spelling import write_record

    spelling = common_spelling([*args.text, *args.exclude], language=args.language, case=args.case)
    text = training_text(args.text, args.exclude, spelling)
    model = train(text.sentences, args.order)
    skipped = args.out.with_name(f"{args.out.name}.skipped.txt")
    with atomic_write(skipped) as file:
        file.writelines(f"{line}\n" for line in text.skipped)
    write_record(args.out.with_name(f"{args.out.name}.spelling.json"), spelling)
    write_arpa(args.out, model)
    print(
        f"{len(text.sentences)} sentences, {len(model.words)} words, order {model.order}; {text.num_held_out} scored "
        f"sentences left out; {len(text.skipped)} rows or sentences that cannot be read left out ({skipped}); "
        f"{args.out}"
    )
    return 0
