"""The manifests of merged labels, a folder per language and one of all: streams, dictionaries, summary.

    OUT/fr/{train,valid,test}.{tsv,meta.tsv,ltr,wrd,label_source}, OUT/fr/dict.ltr.txt
    OUT/multilingual/...
    OUT/summary.json

`ltr` and `wrd` are as in the Catalan recipe; `label_source` says who wrote the text, "human" or the model's name.

Another merge takes the place of an earlier one. A process killed on the way leaves files of one merge only, and no
summary.json unless they are all there.
"""

import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..files import atomic_write
from ..manifest import Utterance, write_dictionary, write_manifest
from ..text.units import count_units, to_characters
from .filters import REASONS
from .merge import HUMAN, SIDES, Merged, MergeSettings, Row, check

MULTILINGUAL = "multilingual"
SUMMARY = "summary.json"
SAMPLE_RATE_HZ = 16_000
_ASIDE = ".unfinished"
_DICTIONARY = "dict.ltr.txt"
_LABELS = ("ltr", "wrd", "label_source")
# Who wrote a text no other tool says: a folder that has this file is of a merge. It appears first and goes last.
_MARK = "train.label_source"


def write_merged(
    merged: Merged,
    folder: str | os.PathLike[str],
    clips: str | os.PathLike[str],
    languages: Sequence[str],
    found: Mapping[str, Any],
) -> None:
    """Writes partitions and summary in place of those of an earlier merge; other files stay.

    Args:
        merged: of `merge.merge`.
        folder: of the partitions.
        clips: the folder of prepared clips, root of the manifests.
        languages: codes.
        found: of `summary`.

    Raises:
        ValueError: as `write_partitions`; what was there stays then.
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
    """Sorts a partition's files so that a tsv comes after its labels, and that of train last of all."""
    return path.name != _MARK, path.name in {f"{side}.tsv" for side in SIDES}, path.name == "train.tsv"


def _remove_earlier(folder: Path) -> None:
    suffixes = ("tsv", "meta.tsv", *_LABELS)
    names = [_DICTIONARY, *(f"{side}.{suffix}" for side in SIDES for suffix in suffixes)]
    for mark in list(folder.glob(f"*/{_MARK}")):
        for path in sorted((mark.with_name(name) for name in names), key=_order, reverse=True):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # something else is in it
            mark.parent.rmdir()


def write_partitions(
    merged: Merged, folder: str | os.PathLike[str], clips: str | os.PathLike[str], languages: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Writes a partition per language that has a clip to train on, and one of them all together.

    Args:
        merged: of `merge.merge`.
        folder: of the partitions, a new one.
        clips: the folder of prepared clips, root of the manifests.
        languages: codes.

    Returns:
        Protocol -> side -> rows.

    Raises:
        ValueError: for no clip to train on, or an automatic label outside of train.
    """
    check(merged.rows)
    trained = [code for code in languages if merged.side("train", [code])]
    if not trained:
        raise ValueError(
            f"{clips}: a clip to train on expected, found none of {tuple(languages)}; see what was rejected, and why"
        )
    partitions = {code: [code] for code in trained} | {MULTILINGUAL: trained}
    return {name: _write(merged, Path(folder) / name, clips, codes) for name, codes in partitions.items()}


def _write(
    merged: Merged, folder: Path, clips: str | os.PathLike[str], languages: Sequence[str]
) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for side in SIDES:
        rows = merged.side(side, languages)
        if rows:
            sizes[side] = write_side(folder, side, rows, clips)
    train = merged.side("train", languages)
    write_dictionary(folder / _DICTIONARY, count_units(_characters(row.utterance) for row in train))
    return sizes


def write_side(folder: Path, side: str, rows: Sequence[Row], clips: str | os.PathLike[str]) -> int:
    """Writes the manifest of one side.

    Args:
        folder: of the partition.
        side: of `merge.SIDES`.
        rows: of that side.
        clips: root of the manifest.

    Returns:
        The number of rows.
    """
    sources = {row.utterance.id: row.source for row in rows}
    labels = {
        "ltr": lambda u: " ".join(_characters(u)),
        "wrd": lambda u: u.transcript or "",
        "label_source": lambda u: sources[u.id],
    }
    return write_manifest(folder, side, (row.utterance for row in rows), root=clips, labels=labels)


def _characters(utterance: Utterance) -> list[str]:
    return to_characters(utterance.transcript or "")


def summary(merged: Merged, settings: MergeSettings) -> dict[str, Any]:
    """Counts what was kept and what not, for a report.

    Args:
        merged: of `merge.merge`.
        settings: of it.

    Returns:
        As JSON holds it: `languages` (language -> side -> label source -> clips, hours, speakers, videos),
        `rejected` (reason -> clips, and what to do), `rejected_by_language` (language -> reason -> clips),
        `num_kept`, `num_rejected`, `settings`.
    """
    reasons: Counter[str] = Counter()
    by_language: dict[str, Counter[str]] = defaultdict(Counter)
    for (language, reason), count in merged.rejected.items():
        reasons[reason] += count
        by_language[language or "unknown"][reason] += count
    languages = {
        code: {side: _amounts(merged.side(side, [code])) for side in SIDES} for code in settings.languages
    }
    return {
        "languages": languages,
        "num_kept": len(merged.rows),
        "num_rejected": reasons.total(),
        "rejected": {
            name: {"clips": n, "advice": REASONS.get(name, "")} for name, n in reasons.most_common()
        },
        "rejected_by_language": {code: dict(own.most_common()) for code, own in sorted(by_language.items())},
        "settings": asdict(settings),
    }


def _amounts(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.source].append(row)
    return {source: _amount(own) for source, own in sorted(groups.items(), key=lambda item: item[0] != HUMAN)}


def _amount(rows: Sequence[Row]) -> dict[str, Any]:
    num_samples = sum(row.utterance.num_samples for row in rows)
    return {
        "clips": len(rows),
        "hours": round(num_samples / SAMPLE_RATE_HZ / 3600, 6),
        "speakers": len({row.utterance.speaker for row in rows}),
        "videos": len({row.video for row in rows}),
    }


def write_summary(path: str | os.PathLike[str], found: Mapping[str, Any]) -> None:
    """Writes the summary.

    Args:
        path: the file to appear.
        found: of `summary`.
    """
    with atomic_write(path) as file:
        json.dump(found, file, ensure_ascii=False, indent=1)
        file.write("\n")


def describe(found: Mapping[str, Any]) -> list[str]:
    """Lines for a person.

    Args:
        found: of `summary`.

    Returns:
        A line per language and per reason.
    """
    lines = []
    for code, sides in found["languages"].items():
        parts = [
            f"{side} {amount['clips']} clips {60 * amount['hours']:.1f} min by {source}"
            for side, amounts in sides.items()
            for source, amount in amounts.items()
        ]
        lines.append(f"{code}: {', '.join(parts) or 'nothing'}")
    lines.append(f"{found['num_kept']} clips kept, {found['num_rejected']} not")
    lines += [f"  {name:18} {own['clips']:8}  {own['advice']}" for name, own in found["rejected"].items()]
    return lines
