"""Write manifests of labelled clips: filter automatic labels and add published transcripts; nothing is decoded again.

  fairseq-ext label merge --clips CLIPS --labels LABELS --corpus mtedx=/data/mtedx --out MANIFESTS

Automatic labels are for training only: valid and test come from the transcripts of --corpus and --transcribed. OUT has
a folder per language and one of all (multilingual), and summary.json: hours per language and split, what was rejected
and why. Another merge replaces the previous one; a merge that fails leaves it as it was.

What lip readers are trained on and compared by is added with --partitions, --pieces and --align; see
fairseq_ext/labelling/manifests.py for the files.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ._options import add_check, add_filters, add_languages

if TYPE_CHECKING:
    from ..labelling.frame_units import LetterTimes
    from ..labelling.merge import Merged

SUMMARY = "Filter labels and write the manifests to train on"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options, one per field of FilterSettings among them."""
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
        help="manifests with the ids of clips: transcripts by people, splits, speakers; repeatable",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of a manifest folder per language")
    add_languages(parser, "languages to keep")
    parser.add_argument(
        "--case", choices=("lower", "upper"), default="lower", help="case of the transcripts (default: lower)"
    )
    parser.add_argument(
        "--drop-apostrophes", action="store_true", help="write locéan, as the published lists of mTEDx do"
    )
    parser.add_argument(
        "--keep-damaged", action="store_true", help="keep clips of damaged files (default: rejected)"
    )
    parser.add_argument(
        "--partitions",
        action="store_true",
        help="also write LANGUAGE_people, without automatic labels, and ssl, of all clips to pre-train on",
    )
    parser.add_argument(
        "--pieces",
        type=int,
        default=0,
        metavar="N",
        help="also write N SentencePiece units at most of the training texts, as stream pieces (default: none)",
    )
    parser.add_argument(
        "--piece-kind",
        choices=("unigram", "bpe"),
        default="unigram",
        help="algorithm; bpe makes whole words of few different ones (default: unigram)",
    )
    parser.add_argument(
        "--align",
        type=Path,
        metavar="CHECKPOINT",
        help="also write the unit of each frame, by aligning the sound with this ext_av_ctc_attention of characters "
        "(default: none)",
    )
    add_check(parser)
    add_filters(parser)


def run(args: argparse.Namespace) -> int:
    """Read, merge, write, and print what was rejected."""
    from tqdm import tqdm

    from ..file_errors import writing
    from ..labelling import filters, manifests, merge, published, table
    from ..media.mouth.table import read_clips
    from ..text.language_codes import KNOWN, read_codes

    # What a CTC model labels, and what people transcribe, may be in a language without a code of two letters.
    others = {args.languages}
    problems: list[str] = []
    limits = filters.FilterSettings(**{name: getattr(args, name) for name in filters.names()})
    choices = (limits, args.case, not args.drop_apostrophes, args.keep_damaged)
    settings = merge.MergeSettings(read_codes(args.languages, KNOWN | others), *choices)
    if args.pieces < 0:
        raise argparse.ArgumentError(None, f"--pieces {args.pieces}: 0 or more expected")
    if args.check:
        return 0
    labels = list(table.read_labels(table.labels_path(args.labels))) if args.labels else []
    if not args.transcribed:
        published.check_splits_known((row.source for row in read_clips(args.clips)), args.corpus)
    known = published.read_published(args.corpus, args.transcribed, on_problem=problems.append)
    others = {label.language for label in labels} | {str(u.language) for u in known.values()}
    languages = read_codes(args.languages, KNOWN | others)
    with writing(args.out):
        args.out.mkdir(parents=True, exist_ok=True)
    merged = merge.merge(tqdm(read_clips(args.clips), desc="clips", unit="clip"), labels, known, settings)
    found = manifests.summary(merged, settings)
    print("\n".join(manifests.describe(found)))
    letters = _letters(args, merged) if args.align else None
    wanted = manifests.ForTraining(args.partitions, args.pieces, args.piece_kind, letters)
    sizes = manifests.write_merged(merged, args.out, args.clips, languages, found, wanted)
    for name, own in sizes.items():
        print(f"{name}: {', '.join(f'{split} {count}' for split, count in own.items())} clips")
    print(f"{len(problems)} problems of the corpora{': ' if problems else ''}{' | '.join(problems[:3])}")
    return 0


def _letters(args: argparse.Namespace, merged: "Merged") -> "Mapping[str, LetterTimes]":
    """Return the frames of the letters of the clips that are trained on or validated; print how many have none."""
    from tqdm import tqdm

    from ..inference.letter_times import letter_times, load_aligner

    utterances = [clip.utterance for clip in merged.clips if clip.utterance.split != "test"]
    clips = ((u.id, args.clips / u.path, u.num_frames or 0, u.transcript or "") for u in utterances)
    progress = tqdm(clips, total=len(utterances), desc="align", unit="clip", disable=None)
    found = dict(letter_times(load_aligner(args.align), progress))
    print(
        f"{len(found)} of {len(utterances)} clips aligned; the others have letters that {args.align} lacks, or more "
        "letters than frames, and no labels of frames"
    )
    return found
