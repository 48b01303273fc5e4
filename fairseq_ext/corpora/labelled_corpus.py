"""Recordings with one class each, in any layout: `folder_per_class` and `table` list them, `collect` measures them.

Whatever cannot be used is described in one line, with its place, and skipped.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from ..manifest import Utterance
from ..text.published import Report

log = logging.getLogger(__name__)

UNKNOWN_SPEAKER = "unknown"
# Names that data sets use for the three sides.
_SIDES = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev", "devel", "development"), "valid"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
GENDERS = {
    **dict.fromkeys(("f", "female", "w", "woman"), "female"),
    **dict.fromkeys(("m", "male", "man"), "male"),
}
# Label streams that the sidecar has a column for.
_SIDECAR_FIELDS = {"accent", "emotion", "gender", "language"}


class AudioInfo(Protocol):
    """Length and sample rate of a recording, as `media.audio.probe` returns them."""

    @property
    def sample_rate_hz(self) -> int:
        """Return the sample rate of the file, Hz."""

    @property
    def num_samples(self) -> int:
        """Return the length at that rate."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording of a data set, as its layout describes it; "" means: not known.

    Attributes:
        where: its place for messages, "file" or "file:line".
        path: media path relative to the root.
        label: its class.
        speaker: name of the speaker.
        gender: gender of the speaker.
        group: what may be left out instead of a speaker: session, place, microphone.
        text: what is said.
        split: the published split that it belongs to.
        start_s: start of the segment within the file, seconds; None for a whole file.
        end_s: end of the segment, seconds.
    """

    where: str
    path: str
    label: str
    speaker: str = ""
    gender: str = ""
    group: str = ""
    text: str = ""
    split: str = ""
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True)
class LabelledCorpus:
    """A data set of classes, measured.

    Attributes:
        utterances: its utterances; `split` is train, valid, test or None.
        classes: utterance id -> class.
        groups: utterance id -> group, of those with one.
        sample_rate_hz: sample rate that `num_samples` counts at, Hz.
    """

    utterances: list[Utterance]
    classes: dict[str, str]
    groups: dict[str, str]
    sample_rate_hz: int

    def label(self, utterance: Utterance) -> str:
        """Return the class of an utterance."""
        return self.classes[utterance.id]


def collect(
    root: Path,
    recordings: Iterable[Recording],
    probe: Callable[[Path], AudioInfo],
    *,
    stream: str = "class",
    sample_rate_hz: int | None = None,
    needs_speaker: bool = True,
    on_problem: Report | None = None,
) -> LabelledCorpus:
    """Measure recordings and make utterances of them.

    Args:
        root: folder that the paths are relative to.
        probe: reads the length and sample rate of a file, or raises ValueError or OSError.
        stream: name of the classes; accent, emotion, gender and language also go to that column of the sidecar.
        sample_rate_hz: sample rate to count samples at, Hz; None takes the rate of the files.
        needs_speaker: skip recordings without a speaker; otherwise every speaker becomes `UNKNOWN_SPEAKER`.
        on_problem: receives a line for each recording that is skipped; by default it is logged.

    Raises:
        ValueError: no speaker is known although they are needed, the files have several rates and none was chosen,
            or there are fewer than two classes.
    """
    report, found, infos = on_problem or log.warning, list(recordings), dict[str, AudioInfo]()
    if needs_speaker and found and not any(r.speaker for r in found):
        raise ValueError(
            f"{root}: no speaker is known, so test speakers could be training speakers, and scores would be too good; "
            "say where the speakers are (--speaker), or accept a random split (--no-speakers)"
        )
    for recording in found:
        if recording.path not in infos:
            try:
                infos[recording.path] = probe(root / recording.path)
            except (ValueError, OSError) as error:
                problem = str(error).removeprefix(f"{root / recording.path}: ")
                report(f"{recording.where}: {problem}; skipped")
    rate_hz = sample_rate_hz or _only_rate_hz(root, infos)
    symbols = _symbols(root, (r.label for r in found))
    utterances: dict[str, Utterance] = {}
    classes, groups = dict[str, str](), dict[str, str]()
    for recording in (r for r in found if r.path in infos):
        try:
            utterance = _utterance(recording, infos[recording.path], rate_hz, needs_speaker)
            if utterance.id in utterances:
                raise ValueError(
                    f"{utterance.id} occurs twice, as {classes[utterance.id]} and {symbols[recording.label]}; give "
                    "each recording another name, or delete one"
                )
        except ValueError as error:
            report(f"{recording.where}: {error}; skipped")
            continue
        label = symbols[recording.label]
        if stream in _SIDECAR_FIELDS:
            utterance = replace(utterance, **dict[str, Any]({stream: label}))
        utterances[utterance.id], classes[utterance.id] = utterance, label
        if recording.group:
            groups[utterance.id] = recording.group
    if len(set(classes.values())) < 2:
        raise ValueError(
            f"{root}: 2 classes or more are needed, found {sorted(set(classes.values()))} in {len(utterances)} usable "
            f"recordings of {len(found)}; see what was skipped"
        )
    return LabelledCorpus(list(utterances.values()), classes, groups, rate_hz)


def _symbols(root: Path, labels: Iterable[str]) -> dict[str, str]:
    """Return the dictionary's symbol of each class: symbols have no spaces, and two classes must not share one."""
    symbols = {label: "_".join(label.split()) for label in labels}
    for label, symbol in symbols.items():
        if label != symbol:
            log.warning("class %r is written %s", label, symbol)
    if shared := [symbol for symbol, count in Counter(symbols.values()).items() if count > 1]:
        names = sorted(label for label, symbol in symbols.items() if symbol == shared[0])
        raise ValueError(f"{root}: the classes {names} would both be written {shared[0]}; rename one of them")
    return symbols


def _only_rate_hz(root: Path, infos: dict[str, AudioInfo]) -> int:
    rates = Counter(info.sample_rate_hz for info in infos.values())
    if len(rates) > 1:
        counts = ", ".join(f"{rate} Hz: {count}" for rate, count in rates.most_common())
        raise ValueError(
            f"{root}: the files have several sample rates ({counts}); choose one (--sample-rate-hz), which others are "
            "resampled to on reading (then fairseq-ext check --any-rate), or convert them first (fairseq-ext prepare "
            "audio)"
        )
    return next(iter(rates), 0)


def _utterance(recording: Recording, info: AudioInfo, rate_hz: int, needs_speaker: bool) -> Utterance:
    if needs_speaker and not recording.speaker:
        raise ValueError("its speaker is not known")
    stem, num_samples = (
        str(Path(recording.path).with_suffix("")),
        -(-info.num_samples * rate_hz // info.sample_rate_hz),
    )
    if recording.start_s is not None:
        end_s = recording.end_s if recording.end_s is not None else num_samples / rate_hz
        # Tables round their times: half a hundredth of a second beyond the end is the end.
        if not 0 <= recording.start_s < end_s <= num_samples / rate_hz + 0.005:
            raise ValueError(
                f"{recording.start_s} to {end_s} s is no part of {num_samples / rate_hz:.2f} s of audio"
            )
        start = round(recording.start_s * rate_hz)
        num_samples = min(round(end_s * rate_hz), num_samples) - start
        recording = replace(recording, end_s=end_s)
        stem = f"{stem}_{recording.start_s:.2f}_{end_s:.2f}"
    return Utterance(
        id=stem,
        path=recording.path,
        num_samples=num_samples,
        transcript=recording.text or None,
        speaker=recording.speaker if needs_speaker else UNKNOWN_SPEAKER,
        gender=GENDERS.get(recording.gender.lower(), recording.gender) or None,
        split=_SIDES.get(recording.split.lower()),
        start_s=recording.start_s,
        end_s=recording.end_s,
    )
