"""Write manifests of prepared clips from a published label list, from AV-HuBERT's tsv and wrd, or auto_avsr's csv.

  fairseq-ext convert to-manifest --from labels --source French/mTEDx-Fr/test.txt --split test --language fr \\
      --root CLIPS --out MANIFESTS

From a label list come those clips that are in CLIPS/clips.tsv; the lists of VoxCeleb2 and AVSpeech were written by
Whisper and are accepted for train only. The other formats state the lengths themselves and need no clips.tsv. OUT then
holds SPLIT.tsv, SPLIT.wrd with the texts as the source writes them, and SPLIT.meta.tsv.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..manifest import Utterance

SUMMARY = "Read label lists, AV-HuBERT, auto_avsr manifests"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--from",
        dest="kind",
        choices=("labels", "av_hubert", "auto_avsr"),
        required=True,
        help="format of --source",
    )
    parser.add_argument(
        "--source", type=Path, required=True, help="the list or csv; for av_hubert the folder of the tsv"
    )
    parser.add_argument(
        "--split", required=True, help="train, valid or test; for av_hubert also the stem of the tsv"
    )
    parser.add_argument("--root", type=Path, required=True, help="folder that holds audio/ and video/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the manifests")
    parser.add_argument("--language", help="language of the texts, ISO 639-1; required for lists of mTEDx")
    parser.add_argument("--units", type=Path, help="units.txt of auto_avsr (default: the one beside the csv)")


def read(args: argparse.Namespace) -> "Iterator[Utterance]":
    """Read the utterances of the source, as it describes them."""
    from tqdm import tqdm

    from ..corpora import auto_avsr_format, av_hubert_format, label_lists
    from ..corpora.clip_layout import audio_path
    from ..manifest import Utterance
    from ..media.mouth.table import read_clips

    if args.kind == "av_hubert":
        av_hubert_format.find_splits(args.source, [args.split])
        return av_hubert_format.read(args.source, args.split, root=args.root)
    if args.kind == "auto_avsr":
        units = auto_avsr_format.read_units(args.units or args.source.with_name("units.txt"))
        return auto_avsr_format.read(args.source, units, on_problem=tqdm.write)
    labels = label_lists.read_list(
        args.source, split=args.split, language=args.language, on_problem=tqdm.write
    )
    clips = (Utterance(r.id, audio_path(r.id), r.num_samples, r.num_frames) for r in read_clips(args.root))
    return label_lists.apply_labels(
        clips, labels, split=args.split, language=args.language, on_problem=tqdm.write
    )


def run(args: argparse.Namespace) -> int:
    """Write the manifest and print the number of clips."""
    from tqdm import tqdm

    from ..manifest import write_manifest
    from ..text.language_codes import KNOWN, check_known
    from ..text.spelling import Spelling, write_spelling

    if args.language is not None:
        check_known([args.language], KNOWN)
    found = read(args)
    first = next(found, None)
    if first is None:
        raise ValueError(f"{args.source}: no row is a clip below {args.root}; see the rows that were skipped")
    # Formats that do not name the language take --language.
    utterances = (
        u if u.language or not args.language else replace(u, language=args.language)
        for u in chain([first], found)
    )
    shown = tqdm(utterances, desc="import", unit="clip", leave=False)
    labels = {"wrd": lambda utterance: utterance.transcript or ""}
    write_spelling(args.out, Spelling(args.language or "", punctuation=True))
    num_rows = write_manifest(args.out, args.split, shown, root=args.root, labels=labels)
    print(f"{args.out / args.split}.tsv: {num_rows} clips")
    return 0
