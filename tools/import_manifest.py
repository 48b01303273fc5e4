#!/usr/bin/env python3
"""Write manifests of prepared clips from a published label list, from AV-HuBERT's tsv and wrd, or from auto_avsr's csv.

    tools/import_manifest.py --from labels --source French/mTEDx-Fr/test.txt --split test --language fr \\
        --root CLIPS --out MANIFESTS

A label list takes those clips of CLIPS/clips.tsv that it names; the lists of VoxCeleb2 and AVSpeech were written by
Whisper and are taken for train only. The others need no clips.tsv: they tell the lengths themselves. OUT then holds
SPLIT.tsv, SPLIT.wrd with the texts as the source writes them, and SPLIT.meta.tsv.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from fairseq_ext.manifest import Utterance


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="kind", choices=("labels", "av_hubert", "auto_avsr"), required=True)
    parser.add_argument("--source", type=Path, required=True, help="the list or csv; of av_hubert the folder")
    parser.add_argument(
        "--split", required=True, help="train, valid or test; of av_hubert also the stem to read"
    )
    parser.add_argument("--root", type=Path, required=True, help="folder that holds audio/ and video/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the manifests")
    parser.add_argument("--language", help="of the texts, ISO 639-1; lists of mTEDx need it")
    parser.add_argument("--units", type=Path, help="units.txt of auto_avsr (default: beside the csv)")
    return parser.parse_args()


def read(args: argparse.Namespace) -> Iterator[Utterance]:
    """The utterances of the source."""
    from fairseq_ext.corpora import auto_avsr_format, av_hubert_format, label_lists
    from fairseq_ext.corpora.clip_layout import audio_path
    from fairseq_ext.media.mouth.table import read_clips

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


def with_language(utterance: Utterance, language: str | None) -> Utterance:
    """Formats that do not name the language take what the person gave."""
    return utterance if utterance.language or not language else replace(utterance, language=language)


def main() -> None:
    """Write the manifest, then say how many rows."""
    from fairseq_ext.manifest import write_manifest

    args = parse_args()
    try:
        found = read(args)
        first = next(found, None)
        if first is None:
            raise ValueError(
                f"{args.source}: rows of clips below {args.root} expected, found none; see what was skipped"
            )
        utterances = (with_language(u, args.language) for u in chain([first], found))
        utterances = tqdm(utterances, desc="import", unit="clip", leave=False)
        labels = {"wrd": lambda utterance: utterance.transcript or ""}
        num_rows = write_manifest(args.out, args.split, utterances, root=args.root, labels=labels)
    except (OSError, ValueError) as error:
        sys.exit(f"import_manifest.py: {error}")
    print(f"{args.out / args.split}.tsv: {num_rows} clips")


if __name__ == "__main__":
    main()
