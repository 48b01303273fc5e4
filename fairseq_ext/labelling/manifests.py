"""Write the manifests of merged labels, a folder per language and one of all languages, and a summary.

    OUT/fr/{train,valid,test}.{tsv,meta.tsv,ltr,wrd,label_source}, OUT/fr/dict.ltr.txt
    OUT/multilingual/...
    OUT/summary.json

`ltr` holds characters, `wrd` words; `label_source` names who wrote the text, "human" or the model's name.

A merge replaces an earlier one. A process that is killed while it writes leaves files of one merge only, and no
summary.json unless all of them are there.
"""

import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..dictionary import write_dictionary
from ..files import atomic_write
from ..manifest import SPLITS, Utterance, write_manifest
from ..text.spelling import NAME as SPELLING
from ..text.spelling import write_spelling
from ..text.units import count_units, to_characters
from .engine import SAMPLE_RATE_HZ
from .filters import REASONS
from .merge import HUMAN, Merged, MergeSettings, TranscribedClip, check

MULTILINGUAL = "multilingual"
SUMMARY = "summary.json"
_ASIDE = ".unfinished"
_DICTIONARY = "dict.ltr.txt"
_LABELS = ("ltr", "wrd", "label_source")
# Only a merge writes this file, so it marks the folders of an earlier one. It is written first and removed last.
_MARK = "train.label_source"


def write_merged(
    merged: Merged,
    folder: str | os.PathLike[str],
    clips: str | os.PathLike[str],
    languages: Sequence[str],
    found: Mapping[str, Any],
) -> None:
    """Write manifests and `found`, the result of `summary`, in place of those of an earlier merge; other files stay.

    `clips` is the folder of prepared clips, root of the manifests.

    Raises:
        ValueError: see `write_partitions`; an earlier merge then stays as it is.
    """
    folder = Path(folder)
    aside = folder / _ASIDE
    shutil.rmtree(aside, ignore_errors=True)
    try:
        write_partitions(merged, aside, clips, languages)
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


def _order(path: Path) -> tuple[bool, bool, bool]:
    """Sort the files of a folder so that a tsv comes after its labels, and train.tsv last of all."""
    return path.name != _MARK, path.name in {f"{split}.tsv" for split in SPLITS}, path.name == "train.tsv"


def _remove_earlier(folder: Path) -> None:
    suffixes = ("tsv", "meta.tsv", *_LABELS)
    names = [_DICTIONARY, SPELLING, *(f"{split}.{suffix}" for split in SPLITS for suffix in suffixes)]
    for mark in list(folder.glob(f"*/{_MARK}")):
        for path in sorted((mark.with_name(name) for name in names), key=_order, reverse=True):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # something else is in it
            mark.parent.rmdir()


def write_partitions(
    merged: Merged, folder: str | os.PathLike[str], clips: str | os.PathLike[str], languages: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Write a new folder of manifests per language that has a clip to train on, and one of these languages together.

    `clips` is the root of the manifests. Returns partition -> split -> number of clips.

    Raises:
        ValueError: for no clip to train on, or an automatic label outside of train.
    """
    check(merged.clips)
    trained = [code for code in languages if merged.select("train", [code])]
    if not trained:
        raise ValueError(
            f"{clips}: no clip to train on in {', '.join(languages)}; see above why clips were rejected"
        )
    partitions = {code: [code] for code in trained} | {MULTILINGUAL: trained}
    return {name: _write(merged, Path(folder) / name, clips, codes) for name, codes in partitions.items()}


def _write(
    merged: Merged, folder: Path, clips: str | os.PathLike[str], languages: Sequence[str]
) -> dict[str, int]:
    sizes: dict[str, int] = {}
    write_spelling(folder, replace(merged.spelling, language=languages[0] if len(languages) == 1 else ""))
    for split in SPLITS:
        if chosen := merged.select(split, languages):
            sizes[split] = write_split(folder, split, chosen, clips)
    train = merged.select("train", languages)
    write_dictionary(folder / _DICTIONARY, count_units(_characters(clip.utterance) for clip in train))
    return sizes


def write_split(
    folder: Path, split: str, chosen: Sequence[TranscribedClip], root: str | os.PathLike[str]
) -> int:
    """Write the manifest of one of `manifest.SPLITS`; return the number of clips."""
    sources = {clip.utterance.id: clip.source for clip in chosen}
    labels = {
        "ltr": lambda u: " ".join(_characters(u)),
        "wrd": lambda u: u.transcript or "",
        "label_source": lambda u: sources[u.id],
    }
    return write_manifest(folder, split, (clip.utterance for clip in chosen), root=root, labels=labels)


def _characters(utterance: Utterance) -> list[str]:
    return to_characters(utterance.transcript or "")


def summary(merged: Merged, settings: MergeSettings) -> dict[str, Any]:
    """Count what was kept and what was rejected, for a report.

    JSON-like: `languages` (language -> split -> label source -> clips, hours, speakers, videos),
    `rejected` (reason -> clips, and what to do), `rejected_by_language` (language -> reason -> clips),
    `num_kept`, `num_rejected`, `settings`.
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
    lines += [f"  {name:18} {own['clips']:8}  {own['advice']}" for name, own in found["rejected"].items()]
    return lines
