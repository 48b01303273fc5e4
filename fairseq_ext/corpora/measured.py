"""Recordings that a reader has listed: measured, and without the damaged, the silent and the copies of others.

A copy is found by its content. Two takes of a sentence are never alike to the last wave, so of two such recordings one
is there under a second name: in training and test at once it would flatter, and one of its names may be wrong.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import numpy.typing as npt

from ..manifest import Utterance
from ..text.published import Report
from .near_copies import near_copies

# A recording so many times as long as the median is named. The longest of RAVDESS has 1.4 times its median; a minute
# that holds all emotions, in some copies of CREMA-D (1064_IEO_DIS_MD), 24 times.
_MUCH_LONGER = 20
# Recordings of a speaker that are compared each with each: a minute for 1,500.
_MOST_COMPARED = 1500


class Content(Protocol):
    """Length and content of a recording, as `media.content.content_of` returns them."""

    @property
    def fingerprint(self) -> str:
        """Return a hash of the samples."""

    @property
    def trace(self) -> npt.NDArray[Any]:
        """Return means of the samples, 1,000 a second."""

    def num_samples_at(self, sample_rate_hz: int) -> int:
        """Return the length at a rate."""


Measure = Callable[[Path], Content]


def measured(
    folder: Path,
    listed: Iterable[Utterance],
    measure: Measure,
    *,
    sample_rate_hz: int,
    report: Report,
) -> list[Utterance]:
    """Measure utterances, whose `num_samples` is 0 yet, in the order of the list.

    Args:
        folder: folder that their paths are relative to.
        measure: decodes a recording, or raises ValueError or OSError.
        sample_rate_hz: sample rate to count samples at, Hz.
        report: receives a line for each recording that is left out, or much longer than the others.
    """
    found: list[tuple[Utterance, Content | None]] = []
    for utterance in listed:
        try:
            content = measure(folder / utterance.path)
        except (ValueError, OSError) as error:
            problem = str(error).removeprefix(f"{folder / utterance.path}: ")
            report(f"{folder / utterance.path}: {problem}; skipped")
            continue
        found.append((replace(utterance, num_samples=content.num_samples_at(sample_rate_hz)), content))
    kept = _with_unique_ids(folder, without_copies(folder, found, report), report)
    report_long(folder, kept, sample_rate_hz, report)
    return kept


def report_long(folder: Path, utterances: Sequence[Utterance], sample_rate_hz: int, report: Report) -> None:
    """Report recordings that are much longer than the median: they may hold more than one class."""
    usual = median(u.num_samples for u in utterances) if utterances else 0
    for utterance in utterances:
        if utterance.num_samples > _MUCH_LONGER * usual:
            report(
                f"{folder / utterance.path}: it lasts {utterance.num_samples / sample_rate_hz:.0f} s, the others "
                f"{usual / sample_rate_hz:.1f} s; kept, listen to what it holds"
            )


def without_copies(
    folder: Path, found: Sequence[tuple[Utterance, Content | None]], report: Report
) -> list[Utterance]:
    """Keep the first of recordings with one content; none where class, speaker or text differ: which is right?

    Equal samples are found among all recordings, copies in another format or with noise among those of a speaker.

    Args:
        folder: folder that the paths are relative to.
        found: utterances and the content of their recordings; None: no copy of anything, such as a segment.
        report: receives a line for each recording that is left out.
    """
    kept: set[int] = set()
    for first, *others in _groups(found, report):
        utterances = [found[number][0] for number in (first, *others)]
        if len({(_class_of(u), u.speaker, u.transcript) for u in utterances}) == 1:
            kept.add(first)
        else:
            named = " and ".join(sorted({f"{_class_of(u)} of {u.speaker}" for u in utterances}))
            path, other = utterances[0].path, utterances[1].path
            report(f"{folder / path}: the same audio as {other}, but other labels ({named}); skipped")
        for utterance in utterances[1:]:
            report(f"{folder / utterance.path}: a copy, the same audio as {utterances[0].path}; skipped")
    return [utterance for number, (utterance, _) in enumerate(found) if number in kept]


def _class_of(utterance: Utterance) -> str | None:
    return utterance.emotion or utterance.accent


def _groups(found: Sequence[tuple[Utterance, Content | None]], report: Report) -> Iterable[list[int]]:
    """Return the numbers of the recordings of each content, in order; most groups hold one."""
    first_of: dict[str, int] = {}
    leader = [
        number if content is None else first_of.setdefault(content.fingerprint, number)
        for number, (_, content) in enumerate(found)
    ]
    traces: dict[str, dict[int, npt.NDArray[Any]]] = {}
    for number in first_of.values():
        utterance, content = found[number]
        assert content is not None, "it has a fingerprint"
        traces.setdefault(utterance.speaker or "", {})[number] = content.trace
    for speaker, own in traces.items():
        if len(own) > _MOST_COMPARED:
            report(f"speaker {speaker}: {len(own)} recordings; only exact copies of them are looked for")
            continue
        numbers = list(own)
        for one, other in near_copies(list(own.values())):
            low, high = sorted((leader[numbers[one]], leader[numbers[other]]))
            leader = [low if number == high else number for number in leader]
    groups: dict[int, list[int]] = {}
    for number, first in enumerate(leader):
        groups.setdefault(first, []).append(number)
    return groups.values()


def _with_unique_ids(folder: Path, utterances: Iterable[Utterance], report: Report) -> list[Utterance]:
    first: dict[str, Utterance] = {}
    for utterance in utterances:
        if (known := first.setdefault(utterance.id, utterance)) is not utterance:
            report(
                f"{folder / utterance.path}: the name of {known.path}, with other audio; skipped, give it another name"
            )
    return list(first.values())
