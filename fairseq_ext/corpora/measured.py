"""Recordings that a reader has listed: measured, and without the damaged, the silent and the copies of others.

A copy is found by its content. Two takes of a sentence are never equal to the last sample, so of equal recordings one
is there under a second name: in training and test at once it would flatter, and one of its names may be wrong.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ..manifest import Utterance
from ..text.published import Report


class Content(Protocol):
    """Length and fingerprint of a recording, as `media.content.content_of` returns them."""

    @property
    def fingerprint(self) -> str:
        """Return a hash of the samples."""

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
        report: receives a line for each recording that is left out.
    """
    found: list[tuple[Utterance, str]] = []
    for utterance in listed:
        try:
            content = measure(folder / utterance.path)
        except (ValueError, OSError) as error:
            problem = str(error).removeprefix(f"{folder / utterance.path}: ")
            report(f"{folder / utterance.path}: {problem}; skipped")
            continue
        num_samples = content.num_samples_at(sample_rate_hz)
        found.append((replace(utterance, num_samples=num_samples), content.fingerprint))
    return _with_unique_ids(folder, without_copies(folder, found, report), report)


def without_copies(folder: Path, found: Sequence[tuple[Utterance, str]], report: Report) -> list[Utterance]:
    """Keep the first of recordings with one content; none where class, speaker or text differ: which is right?

    Args:
        folder: folder that the paths are relative to.
        found: utterances and the fingerprints of their recordings.
        report: receives a line for each recording that is left out.
    """
    groups: dict[str, list[Utterance]] = {}
    for utterance, fingerprint in found:
        groups.setdefault(fingerprint, []).append(utterance)
    kept: set[str] = set()
    for first, *others in groups.values():
        labels = {(u.emotion, u.speaker, u.transcript) for u in (first, *others)}
        if len(labels) == 1:
            kept.add(first.path)
        else:
            named = " and ".join(sorted({f"{u.emotion} of {u.speaker}" for u in (first, *others)}))
            report(
                f"{folder / first.path}: the same audio as {others[0].path}, but other labels ({named}); skipped"
            )
        for other in others:
            report(f"{folder / other.path}: a copy, the same audio as {first.path}; skipped")
    return [utterance for utterance, _ in found if utterance.path in kept]


def _with_unique_ids(folder: Path, utterances: Iterable[Utterance], report: Report) -> list[Utterance]:
    first: dict[str, Utterance] = {}
    for utterance in utterances:
        if (known := first.setdefault(utterance.id, utterance)) is not utterance:
            report(
                f"{folder / utterance.path}: the name of {known.path}, with other audio; skipped, give it another name"
            )
    return list(first.values())
