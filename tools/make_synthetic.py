#!/usr/bin/env python3
"""Write a synthetic corpus in the published layout of a real one: make_synthetic.py CORPUS --out DIR."""

import argparse
from dataclasses import fields
from pathlib import Path

from fairseq_ext.commands.main import run_tool

SUMMARY = "Write a synthetic corpus in the layout of a real one"
# Corpora of talking faces: their description, and what --speakers and --minutes count.
FILMS = {
    "mtedx": ("talks with transcripts in French, Italian, Spanish, Portuguese", "train, per language"),
    "voxceleb2": ("short clips of faces in five languages, without labels", "dev"),
    "avspeech": ("clips of larger pictures in five languages, one speaker each", ""),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a sub-command per corpus with its options."""
    from fairseq_ext.synthetic.common_voice_plan import ACCENTS, Sizes

    corpora = parser.add_subparsers(dest="corpus", required=True, metavar="CORPUS")
    fsdd = corpora.add_parser("fsdd", help="Free Spoken Digit Dataset: 10 digits, 6 speakers, 8 kHz")
    fsdd.add_argument(
        "--num-per-digit", type=int, default=50, help="recordings per digit and speaker (default: 50)"
    )
    common_voice = corpora.add_parser("common_voice", help="Common Voice 17 and later: sentences, mp3")
    common_voice.add_argument("--locale", default="ca", choices=ACCENTS, help="language (default: ca)")
    for size in fields(Sizes):
        option = f"--{size.name.replace('_', '-')}"
        common_voice.add_argument(
            option,
            type=type(size.default),
            default=size.default,
            metavar="N",
            help=f"default: {size.default}",
        )
    films = [add_films(corpora, name) for name in FILMS]
    for corpus in (common_voice, *films):
        corpus.add_argument("--workers", type=int, default=1, help="number of processes (default: 1)")
    for corpus in (fsdd, common_voice, *films):
        corpus.add_argument(
            "--out", type=Path, required=True, help="folder of the corpus; a run that was killed continues"
        )
        corpus.add_argument("--seed", type=int, default=1, help="another seed gives other takes (default: 1)")


def add_films(
    corpora: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str
) -> argparse.ArgumentParser:
    """Add the sub-command of a corpus of talking faces."""
    about, part = FILMS[name]
    films = corpora.add_parser(name, help=about)
    if part:
        films.add_argument(
            "--speakers", type=int, metavar="N", help=f"speakers of {part} (default: those of the demo)"
        )
    films.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help=f"approximate minutes of {part or 'all clips'} (default: those of the demo)",
    )
    if name == "mtedx":
        films.add_argument("--languages", nargs="+", metavar="CODE", help="default: fr it es pt")
    return films


def write_fsdd(args: argparse.Namespace) -> str:
    """Write the digits; return how much there is now."""
    from fairseq_ext.synthetic import fsdd

    count = fsdd.write(args.out, num_per_digit=args.num_per_digit, seed=args.seed)
    return f"{count} recordings in {args.out}"


def write_common_voice(args: argparse.Namespace) -> str:
    """Write one locale of Common Voice; return how much there is now."""
    from fairseq_ext.synthetic import common_voice

    sizes = common_voice.Sizes(**{size.name: getattr(args, size.name) for size in fields(common_voice.Sizes)})
    rows = common_voice.write(args.out, args.locale, sizes=sizes, seed=args.seed, num_workers=args.workers)
    return f"{', '.join(f'{count} {name}' for name, count in rows.items())} in {args.out / args.locale}"


def write_films(args: argparse.Namespace) -> str:
    """Write a corpus of talking faces; return how much there is now."""
    from importlib import import_module

    corpus = import_module(f"fairseq_ext.synthetic.{args.corpus}")
    amount = [getattr(args, name) for name in ("speakers", "minutes") if hasattr(args, name)]
    if None in amount and any(value is not None for value in amount):
        raise ValueError("--speakers and --minutes go together; give both")
    sizes = corpus.Sizes() if None in amount else corpus.Sizes.of(*amount)
    chosen = {"languages": args.languages} if getattr(args, "languages", None) else {}
    counts = corpus.write(args.out, sizes=sizes, seed=args.seed, num_workers=args.workers, **chosen)
    return f"{', '.join(f'{count} {name}' for name, count in counts.items())} in {args.out}"


def run(args: argparse.Namespace) -> int:
    """Write the corpus and print where it is."""
    print({"fsdd": write_fsdd, "common_voice": write_common_voice}.get(args.corpus, write_films)(args))
    return 0


if __name__ == "__main__":
    run_tool(__file__)
