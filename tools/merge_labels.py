#!/usr/bin/env python3
"""Manifests of labelled clips: filters automatic labels, adds published transcripts; nothing is decoded again.

    tools/merge_labels.py --clips CLIPS --labels LABELS --corpus mtedx=/data/mtedx --out MANIFESTS

Automatic labels train only: valid and test come from the transcripts of --corpus and --transcribed. OUT has a folder
per language and one of all (multilingual), and summary.json: hours per language and split, what was rejected and why.
Another merge takes the place of the one that is there; one that fails leaves it.
"""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from tqdm import tqdm


def parse_args() -> argparse.Namespace:
    """Command line; an option per field of FilterSettings."""
    from fairseq_ext.labelling.filters import FilterSettings

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True, help="folder with clips.tsv and audio/")
    parser.add_argument("--labels", type=Path, help="folder with labels.tsv (default: no automatic labels)")
    parser.add_argument(
        "--corpus",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="mtedx, voxceleb2 or avspeech as published: transcripts, splits, speakers; repeatable",
    )
    parser.add_argument(
        "--transcribed",
        action="append",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="manifests whose ids are those of clips: transcripts by people, splits, speakers; repeatable",
    )
    parser.add_argument("--out", type=Path, required=True, help="a folder per language is written below it")
    parser.add_argument("--languages", default="fr,it,es,pt", help="that are wanted (default: fr,it,es,pt)")
    parser.add_argument("--case", choices=("lower", "upper"), default="lower", help="of the transcripts")
    parser.add_argument(
        "--drop-apostrophes", action="store_true", help="write locéan, as the published lists of mTEDx do"
    )
    group = parser.add_argument_group("filters")
    for item in fields(FilterSettings):
        option, about = (
            f"--{item.name.replace('_', '-')}",
            f"{item.metadata['help']} (default: {item.default})",
        )
        group.add_argument(option, type=type(item.default), default=item.default, help=about)
    return parser.parse_args()


def main() -> None:
    """Read, merge, write, say what was left out."""
    args = parse_args()
    from fairseq_ext.labelling import filters, manifests, merge, published, table
    from fairseq_ext.media.mouth.table import read_clips

    languages = tuple(args.languages.split(","))
    problems: list[str] = []
    try:
        limits = filters.FilterSettings(**{name: getattr(args, name) for name in filters.names()})
        settings = merge.MergeSettings(languages, limits, args.case, not args.drop_apostrophes)
        labels = list(table.read_labels(table.labels_path(args.labels))) if args.labels else []
        if not args.transcribed:
            published.check_splits_known((row.source for row in read_clips(args.clips)), args.corpus)
        known = published.read_published(args.corpus, args.transcribed, on_problem=problems.append)
        merged = merge.merge(tqdm(read_clips(args.clips), desc="clips", unit="clip"), labels, known, settings)
        found = manifests.summary(merged, settings)
        print("\n".join(manifests.describe(found)))
        manifests.write_merged(merged, args.out, args.clips, languages, found)
    except (ValueError, OSError) as error:
        sys.exit(f"merge_labels.py: {error}")
    print(f"{len(problems)} problems of the corpora{': ' if problems else ''}{' | '.join(problems[:3])}")


if __name__ == "__main__":
    main()
