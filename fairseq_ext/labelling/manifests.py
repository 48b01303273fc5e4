"""Write the manifests of merged labels, a folder per language and one of all languages, and a summary.

    OUT/fr/{train,valid,test}.{tsv,meta.tsv,ltr,wrd,label_source}, OUT/fr/dict.ltr.txt
    OUT/multilingual/...
    OUT/summary.json

`ltr` holds characters, `wrd` words; `label_source` names who wrote the text, "human" or the model's name. What lip
readers are compared on is written too where it is asked for (`ForTraining`):

    OUT/fr_people/, OUT/multilingual_people/   the same without automatic texts, where people wrote some
    OUT/ssl/                                   all clips to train on, those without a trusted text too, without labels
    {train,valid,test}.pieces, dict.pieces.txt, pieces.model    SentencePiece units of the training texts
    {train,valid}.{ltrframes,piecesframes}     the unit of each frame; an empty line: not known

A merge replaces an earlier one. A process that is killed while it writes leaves files of one merge only, and no
summary.json unless all of them are there.
"""

import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..dictionary import write_dictionary
from ..files import atomic_write
from ..manifest import SPLITS, Utterance, write_manifest
from ..text.spelling import NAME as SPELLING
from ..text.spelling import Spelling, write_spelling
from ..text.units import SentencePieces, count_units, to_characters, train_pieces
from .engine import SAMPLE_RATE_HZ
from .filters import REASONS
from .frame_units import SILENT_FRAME, UNKNOWN_FRAME, LetterTimes, character_frames, piece_frames
from .merge import HUMAN, Merged, MergeSettings, TranscribedClip, check

MULTILINGUAL = "multilingual"
PEOPLE, UNLABELLED = "_people", "ssl"
NOBODY = "nobody"  # label_source of clips without labels
SUMMARY = "summary.json"
_ASIDE = ".unfinished"
_DICTIONARY, _PIECE_DICTIONARY, _PIECES = "dict.ltr.txt", "dict.pieces.txt", "pieces.model"
_LABELS = ("ltr", "wrd", "label_source", "pieces", "ltrframes", "piecesframes")
# Only a merge writes this file, so it marks the folders of an earlier one. It is written first and removed last.
_MARK = "train.label_source"

Lines = dict[str, Callable[[Utterance], str]]


@dataclass(frozen=True)
class ForTraining:
    """What is written for the training of lip readers, beside the manifests of each language and of all.

    Attributes:
        partitions: write those of people's texts alone, and that of clips without labels.
        num_pieces: SentencePiece units of each partition, at most; 0 = none.
        piece_kind: "unigram", or "bpe", which makes whole words of few different ones.
        letters: clip id -> frames of the letters of its words; None = they are not known.
    """

    partitions: bool = False
    num_pieces: int = 0
    piece_kind: str = "unigram"
    letters: Mapping[str, LetterTimes] | None = None


def write_merged(
    merged: Merged,
    folder: str | os.PathLike[str],
    clips: str | os.PathLike[str],
    languages: Sequence[str],
    found: Mapping[str, Any],
    wanted: ForTraining | None = None,
) -> dict[str, dict[str, int]]:
    """Write manifests and `found`, the result of `summary`, in place of those of an earlier merge; other files stay.

    `clips` is the folder of prepared clips, root of the manifests. Returns partition -> split -> number of clips.

    Raises:
        ValueError: see `write_partitions`; an earlier merge then stays as it is.
    """
    folder = Path(folder)
    aside = folder / _ASIDE
    shutil.rmtree(aside, ignore_errors=True)
    try:
        sizes = write_partitions(merged, aside, clips, languages, wanted)
        write_summary(aside / SUMMARY, found)
        (folder / SUMMARY).unlink(missing_ok=True)
        _remove_earlier(folder)
        for path in sorted(aside.glob("*/*"), key=_order):
            target = folder / path.relative_to(aside)
            target.parent.mkdir(exist_ok=True)
            path.replace(target)
        (aside / SUMMARY).replace(folder / SUMMARY)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return sizes


def _order(path: Path) -> tuple[bool, bool, bool]:
    """Sort the files of a folder so that a tsv comes after its labels, and train.tsv last of all."""
    return path.name != _MARK, path.name in {f"{split}.tsv" for split in SPLITS}, path.name == "train.tsv"


def _remove_earlier(folder: Path) -> None:
    suffixes = ("tsv", "meta.tsv", *_LABELS)
    names = [_DICTIONARY, _PIECE_DICTIONARY, _PIECES, SPELLING]
    names += [f"{split}.{suffix}" for split in SPLITS for suffix in suffixes]
    for mark in list(folder.glob(f"*/{_MARK}")):
        for path in sorted((mark.with_name(name) for name in names), key=_order, reverse=True):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # something else is in it
            mark.parent.rmdir()


def write_partitions(
    merged: Merged,
    folder: str | os.PathLike[str],
    clips: str | os.PathLike[str],
    languages: Sequence[str],
    wanted: ForTraining | None = None,
) -> dict[str, dict[str, int]]:
    """Write a new folder of manifests per language that has a clip to train on, and one of these languages together.

    `clips` is the root of the manifests. Returns partition -> split -> number of clips.

    Raises:
        ValueError: for no clip to train on, or an automatic label outside of train.
    """
    check(merged.clips)
    wanted = wanted or ForTraining()
    trained = [code for code in languages if merged.select("train", [code])]
    if not trained:
        raise ValueError(
            f"{clips}: no clip to train on in {', '.join(languages)}; see above why clips were rejected"
        )
    partitions = dict(_partitions(merged, trained, wanted))
    sizes = {name: part.write(Path(folder) / name, clips, wanted) for name, part in partitions.items()}
    if wanted.partitions:
        sizes[UNLABELLED] = _write_unlabelled(merged, Path(folder) / UNLABELLED, clips)
    return sizes


def _partitions(
    merged: Merged, trained: Sequence[str], wanted: ForTraining
) -> Iterator[tuple[str, "_Partition"]]:
    """Yield the partitions by name; those of people alone where both people and a model wrote texts."""
    for name, codes in [*((code, [code]) for code in trained), (MULTILINGUAL, list(trained))]:
        language = codes[0] if len(codes) == 1 else ""
        sides = {split: merged.select(split, codes) for split in SPLITS}
        spelling = replace(merged.spelling, language=language)
        yield name, _Partition(sides, spelling)
        by_people = [clip for clip in sides["train"] if clip.source == HUMAN]
        if wanted.partitions and by_people and len(by_people) < len(sides["train"]):
            yield f"{name}{PEOPLE}", _Partition({**sides, "train": by_people}, spelling)


@dataclass(frozen=True)
class _Partition:
    """The clips of each split, and how their texts are spelled."""

    sides: Mapping[str, list[TranscribedClip]]
    spelling: Spelling

    def write(self, folder: Path, clips: str | os.PathLike[str], wanted: ForTraining) -> dict[str, int]:
        """Write the manifests; return split -> number of clips."""
        write_spelling(folder, self.spelling)
        texts = [clip.utterance.transcript or "" for clip in self.sides["train"]]
        pieces = None
        if wanted.num_pieces:
            pieces = train_pieces(texts, wanted.num_pieces, kind=wanted.piece_kind)
        characters = count_units(map(to_characters, texts))
        sizes: dict[str, int] = {}
        for split, chosen in self.sides.items():
            if chosen:
                further = _unit_lines(characters, pieces, wanted.letters if split != "test" else None)
                sizes[split] = write_split(folder, split, chosen, clips, further)
        write_dictionary(folder / _DICTIONARY, characters)
        if pieces is not None:
            pieces.save(folder / _PIECES)
            counts = count_units(map(pieces.encode, texts))
            write_dictionary(
                folder / _PIECE_DICTIONARY, {symbol: counts.get(symbol, 0) for symbol in pieces.symbols}
            )
        return sizes


def _unit_lines(
    characters: Iterable[str], pieces: SentencePieces | None, letters: Mapping[str, LetterTimes] | None
) -> Lines:
    """Return what gives a clip's line of each stream of units that was asked for."""
    lines: Lines = {}
    if pieces is not None:
        lines["pieces"] = lambda u: " ".join(pieces.encode(u.transcript or ""))
    if letters is not None:
        lines["ltrframes"] = _of_known(letters, character_frames, characters)
    if pieces is not None and letters is not None:
        lines["piecesframes"] = _of_known(
            letters, lambda text, *times: piece_frames(text, pieces.encode(text), *times), pieces.symbols
        )
    return lines


def _of_known(
    letters: Mapping[str, LetterTimes],
    frames: Callable[[str, LetterTimes, int], list[str]],
    symbols: Iterable[str],
) -> Callable[[Utterance], str]:
    """Return what gives the unit of each frame of a clip, and nothing where its letters' times are not known."""
    known = {SILENT_FRAME, *symbols}

    def line(u: Utterance) -> str:
        times = letters.get(u.id)
        if times is None:
            return ""
        units = frames(u.transcript or "", times, u.num_frames or 0)
        return " ".join(unit if unit in known else UNKNOWN_FRAME for unit in units)

    return line


def _write_unlabelled(merged: Merged, folder: Path, clips: str | os.PathLike[str]) -> dict[str, int]:
    """Write the clips to pre-train on, with a text or without, and those of valid."""
    with_text = {split: [clip for clip in merged.clips if clip.utterance.split == split] for split in SPLITS}
    sides = {"train": [*with_text["train"], *merged.without_text], "valid": with_text["valid"]}
    return {
        split: write_manifest(
            folder,
            split,
            (replace(clip.utterance, transcript=None) for clip in chosen),
            root=clips,
            labels={"label_source": lambda _: NOBODY},
        )
        for split, chosen in sides.items()
        if chosen
    }


def write_split(
    folder: Path,
    split: str,
    chosen: Sequence[TranscribedClip],
    root: str | os.PathLike[str],
    further: Mapping[str, Callable[[Utterance], str]] | None = None,
) -> int:
    """Write the manifest of one of `manifest.SPLITS`; return the number of clips.

    Args:
        further: streams beside `ltr`, `wrd` and `label_source` -> what gives a clip's line.
    """
    sources = {clip.utterance.id: clip.source for clip in chosen}
    labels: Lines = {
        "ltr": lambda u: " ".join(_characters(u)),
        "wrd": lambda u: u.transcript or "",
        "label_source": lambda u: sources[u.id],
        **(further or {}),
    }
    return write_manifest(folder, split, (clip.utterance for clip in chosen), root=root, labels=labels)


def _characters(utterance: Utterance) -> list[str]:
    return to_characters(utterance.transcript or "")


def summary(merged: Merged, settings: MergeSettings) -> dict[str, Any]:
    """Count what was kept and what was rejected, for a report.

    JSON-like: `languages` (language -> split -> label source -> clips, hours, speakers, videos),
    `rejected` (reason -> clips, and what to do), `rejected_by_language` (language -> reason -> clips),
    `num_kept`, `num_repeated` (of these, clips whose text repeated a phrase that is kept once), `num_rejected`,
    `settings`.
    """
    reasons: Counter[str] = Counter()
    by_language: dict[str, Counter[str]] = defaultdict(Counter)
    for (language, reason), count in merged.rejected.items():
        reasons[reason] += count
        by_language[language or "unknown"][reason] += count
    languages = {
        code: {split: _amounts(merged.select(split, [code])) for split in SPLITS}
        for code in settings.languages
    }
    return {
        "languages": languages,
        "num_kept": len(merged.clips),
        "num_rejected": reasons.total(),
        "rejected": {
            name: {"clips": n, "advice": REASONS.get(name, "")} for name, n in reasons.most_common()
        },
        "rejected_by_language": {code: dict(own.most_common()) for code, own in sorted(by_language.items())},
        "num_repeated": merged.num_repeated,
        "settings": asdict(settings),
    }


def _amounts(clips: Iterable[TranscribedClip]) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[TranscribedClip]] = defaultdict(list)
    for clip in clips:
        groups[clip.source].append(clip)
    return {source: _amount(own) for source, own in sorted(groups.items(), key=lambda item: item[0] != HUMAN)}


def _amount(clips: Sequence[TranscribedClip]) -> dict[str, Any]:
    num_samples = sum(clip.utterance.num_samples for clip in clips)
    return {
        "clips": len(clips),
        "hours": round(num_samples / SAMPLE_RATE_HZ / 3600, 6),
        "speakers": len({clip.utterance.speaker for clip in clips}),
        "videos": len({clip.video for clip in clips}),
    }


def write_summary(path: str | os.PathLike[str], found: Mapping[str, Any]) -> None:
    """Write the summary as JSON."""
    with atomic_write(path) as file:
        json.dump(found, file, ensure_ascii=False, indent=1)
        file.write("\n")


def describe(found: Mapping[str, Any]) -> list[str]:
    """Format a summary as a line per language and per reason of rejection."""
    lines = []
    for code, splits in found["languages"].items():
        parts = [
            f"{split} {amount['clips']} clips {60 * amount['hours']:.1f} min by {source}"
            for split, amounts in splits.items()
            for source, amount in amounts.items()
        ]
        lines.append(f"{code}: {', '.join(parts) or 'nothing'}")
    lines.append(f"{found['num_kept']} clips kept, {found['num_rejected']} not")
    if found["num_repeated"]:
        lines.append(
            f"{found['num_repeated']} of their texts said a phrase more often than it can be spoken; one copy is kept"
        )
    lines += [f"  {name:18} {own['clips']:8}  {own['advice']}" for name, own in found["rejected"].items()]
    return lines
