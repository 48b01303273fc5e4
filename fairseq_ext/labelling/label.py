"""Label recordings: speech, language, text, and the scores that filters use."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..media.stretches import SampleSource, describe_level
from ..text.language_codes import check_known
from . import speech
from .engine import SAMPLE_RATE_HZ, Engine, Hypothesis, Languages, compression_ratio
from .second_look import is_unsure, look_again
from .signals import characters_per_second, loop_score
from .speech import Span
from .table import LABELLED, NO_SPEECH, NO_TEXT, OTHER_LANGUAGE, ClipLabel

_MIN_PROBABILITY = 1e-8  # instead of 0, which has no logarithm
# Windows that are held encoded at a time, 2 to 8 MB each. The language of a longer recording is that of its first
# windows, 16 minutes of speech; the parts of all of it are compared with that.
_MAX_ENCODED = 32


@dataclass(frozen=True, slots=True)
class Recording:
    """The recording of a clip.

    Attributes:
        video: video that it was cut from.
        waveform: waveform (S,) float32 at 16 kHz, or a file of which stretches are read.
        language: language to decode in; None: the detected one.
    """

    id: str
    video: str
    waveform: SampleSource
    language: str | None = None


@dataclass
class _Findings:
    """What is found out about a recording, window by window."""

    recording: Recording
    spans: list[Span]
    windows: list[Span]
    languages: list[Languages]  # of each window
    parts: list[Languages]  # of each part of those windows that have several
    texts: list[Hypothesis]
    chosen: str | None = None  # language of the text
    first_look: Languages = ()  # languages that were unsure, before a second look


class Labeller:
    """A recogniser that labels recordings in some languages; one in another language gets its language, but no text.

    Args:
        engine: the recogniser.
        languages: codes of the languages to transcribe.
        detect: find the language of each recording; False = all are in the only one of `languages`, for certain.

    Raises:
        ValueError: for no language, one that the recogniser cannot transcribe, or several and none to be detected.
    """

    def __init__(self, engine: Engine, languages: Iterable[str], *, detect: bool = True) -> None:
        self.engine, self.languages = engine, frozenset(languages)
        check_known(sorted(self.languages), engine.languages, model=engine.name)
        self._known = None if detect else check_single(sorted(self.languages))

    def __call__(self, recordings: Sequence[Recording]) -> list[ClipLabel]:
        """Label recordings of any length; no label depends on the other recordings."""
        found = [self._speech(recording) for recording in recordings]
        for group in _groups(found):
            # Several windows only where all of a group are encoded at once, or a recording is alone.
            jobs = [(findings, window) for findings in group for window in findings.windows]
            for i in range(0, len(jobs), _MAX_ENCODED):
                self._windows(jobs[i : i + _MAX_ENCODED])
        return [self._row(findings) for findings in found]

    def _speech(self, recording: Recording) -> _Findings:
        spans = speech.find_speech(recording.waveform)
        return _Findings(recording, spans, speech.windows(spans, len(recording.waveform)), [], [], [])

    def _windows(self, jobs: Sequence[tuple[_Findings, Span]]) -> None:
        """Encode windows, then detect the languages of all of them before any is transcribed."""
        size = self.engine.batch_size
        batches = [jobs[i : i + size] for i in range(0, len(jobs), size)]
        encoded = []
        for batch in batches:
            encoded.append(
                self.engine.encode([speech.cut(f.recording.waveform, window) for f, window in batch])
            )
            self._languages(batch, encoded[-1])
        for findings, _ in jobs:
            findings.chosen = findings.chosen or self._choice(findings)
        for batch, windows in zip(batches, encoded, strict=True):
            texts = self.engine.transcribe(windows, [findings.chosen for findings, _ in batch])
            for (findings, _), text in zip(batch, texts, strict=True):
                findings.texts += [text] if text is not None else []

    def _languages(self, batch: Sequence[tuple[_Findings, Span]], encoded: Any) -> None:
        if self._known is not None:
            for findings, _ in batch:
                findings.languages.append([(self._known, 1.0)])
            return
        languages = self.engine.detect_language(encoded)
        for index, ((findings, window), found) in enumerate(zip(batch, languages, strict=True)):
            stretches = speech.parts(window, findings.spans)
            is_short = len(stretches) == len(findings.windows) == 1
            if is_short and findings.recording.language is None and is_unsure(found):
                findings.first_look = found
                found = look_again(self.engine, speech.cut(findings.recording.waveform, window), found)
            findings.languages.append(found)
            if len(stretches) == 1:
                findings.parts.append(found)
                continue
            for stretch in stretches:
                start_s, end_s = ((sample - window[0]) / SAMPLE_RATE_HZ for sample in stretch)
                findings.parts += self.engine.detect_language(
                    self.engine.part(encoded, index, start_s, end_s)
                )

    def _choice(self, findings: _Findings) -> str | None:
        if findings.recording.language is not None:
            return findings.recording.language
        code = pooled(findings.languages)[0][0]
        return code if code in self.languages else None

    def _row(self, findings: _Findings) -> ClipLabel:
        recording = findings.recording
        row = ClipLabel(
            id=recording.id,
            video=recording.video,
            state=NO_SPEECH,
            duration_s=len(recording.waveform) / SAMPLE_RATE_HZ,
            speech_s=speech.speech_s(findings.spans),
            model=self.engine.name,
        )
        if not findings.languages:
            return replace(row, detail=f"no speech: {describe_level(recording.waveform, SAMPLE_RATE_HZ)}")
        languages = pooled(findings.languages)
        code = findings.texts[0].language if findings.texts else languages[0][0]
        row = replace(
            row,
            state=OTHER_LANGUAGE,
            language=code,
            language_probability=dict(languages).get(code, 0.0),
            languages=_cell(languages, 5),
            first_look=_cell(findings.first_look, 5),
            parts=" ".join(_cell(found, 3, ",") for found in findings.parts)
            if len(findings.parts) > 1
            else "",
        )
        return with_text(row, findings.texts) if findings.texts else row


def check_single(languages: Sequence[str]) -> str:
    """Return the only language; raises ValueError for several, of which one would have to be detected."""
    if len(languages) != 1:
        raise ValueError(
            f"--no-detect: one language expected, found {', '.join(languages)}; give the one of all clips, or let it "
            "be detected"
        )
    return languages[0]


def _groups(found: Sequence[_Findings]) -> Iterator[list[_Findings]]:
    """Yield recordings to encode together; a long one is alone, so that it is always divided at the same places."""
    group: list[_Findings] = []
    for findings in found:
        if sum(len(other.windows) for other in [*group, findings]) > _MAX_ENCODED and group:
            yield group
            group = []
        group.append(findings)
    if group:
        yield group


def _cell(found: Languages, num: int, separator: str = " ") -> str:
    return separator.join(f"{code}:{probability:.4f}" for code, probability in found[:num])


def pooled(rows: Sequence[Languages]) -> Languages:
    """Return the languages of a recording: those of its windows multiplied, as if these were independent."""
    logs: dict[str, float] = {}
    for row in rows:
        for code, probability in row:
            logs[code] = logs.get(code, 0.0) + math.log(max(probability, _MIN_PROBABILITY))
    # Relative to the highest, or the products of many windows would underflow.
    highest = max(logs.values())
    weights = {code: math.exp(value - highest) for code, value in logs.items()}
    total = sum(weights.values())
    return sorted(
        ((code, weight / total) for code, weight in weights.items()), key=lambda item: (-item[1], item[0])
    )


def with_text(row: ClipLabel, texts: Sequence[Hypothesis]) -> ClipLabel:
    """Add the texts of a recording's windows and their scores to its row.

    ln p is averaged over tokens, the probability of silence over windows.
    """
    text = " ".join(" ".join(part.text.split()) for part in texts if part.text).strip()
    sizes = [part.num_tokens + 1 for part in texts]  # with the end-of-text token
    silences = [part.no_speech_prob for part in texts if part.no_speech_prob is not None]
    return replace(
        row,
        state=LABELLED if text else NO_TEXT,
        detail="" if text else f"{row.speech_s:.1f} s of speech detected, but the recogniser wrote nothing",
        text=text,
        avg_logprob=sum(part.avg_logprob * size for part, size in zip(texts, sizes, strict=True))
        / sum(sizes),
        no_speech_prob=sum(silences) / len(silences) if silences else None,
        compression_ratio=compression_ratio(text),
        loop_score=loop_score(text),
        characters_per_second=characters_per_second(text, row.speech_s, texts[0].language),
        num_tokens=sum(part.num_tokens for part in texts),
        temperature=max(part.temperature for part in texts),
    )
