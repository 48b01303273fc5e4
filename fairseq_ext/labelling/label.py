"""Label recordings: speech, language, text, and the scores that filters use."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import speech
from .engine import SAMPLE_RATE_HZ, Engine, Hypothesis, Languages, Waveform, compression_ratio
from .signals import characters_per_second, loop_score
from .table import LABELLED, NO_SPEECH, OTHER_LANGUAGE, ClipLabel

NUM_LANGUAGES = 5  # the likeliest ones are kept in the table
_MIN_PROBABILITY = 1e-8  # instead of 0, which has no logarithm


@dataclass(frozen=True, slots=True)
class Recording:
    """The recording of a clip.

    Attributes:
        id: id of the clip.
        video: video that it was cut from.
        waveform: waveform (S,) float32 at 16 kHz.
        language: language to decode in; None: the detected one.
    """

    id: str
    video: str
    waveform: Waveform
    language: str | None = None


class Labeller:
    """A recogniser that labels recordings in some languages.

    Args:
        engine: the recogniser.
        languages: codes; a recording in another language gets its language, but no text.

    Raises:
        ValueError: for no language, or one that the recogniser cannot transcribe.
    """

    def __init__(self, engine: Engine, languages: Iterable[str]) -> None:
        self.engine, self.languages = engine, frozenset(languages)
        if not self.languages or (unknown := sorted(self.languages - engine.languages)):
            raise ValueError(
                f"languages: some of {sorted(engine.languages)} expected, found "
                f"{unknown if self.languages else 'none'}; change them, or take another model than {engine.name}"
            )

    def __call__(self, recordings: Sequence[Recording]) -> list[ClipLabel]:
        """Label recordings; no label depends on the other recordings.

        Args:
            recordings: a few, since all of them are held encoded in memory (2 to 8 MB per window of 30 s).

        Returns:
            A row per recording.
        """
        spans = [speech.find_speech(r.waveform) for r in recordings]
        windows = [
            (owner, speech.cut(r.waveform, window))
            for owner, (r, found) in enumerate(zip(recordings, spans, strict=True))
            for window in speech.windows(found, len(r.waveform))
        ]
        owners = [owner for owner, _ in windows]
        batches = self._encode([window for _, window in windows])
        languages = self._languages(batches, owners)
        chosen = {owner: self._choice(recordings[owner], found) for owner, found in languages.items()}
        texts = self._texts(batches, owners, chosen)
        return [
            self._row(r, speech.speech_s(spans[i]), languages.get(i), texts.get(i))
            for i, r in enumerate(recordings)
        ]

    def _encode(self, windows: Sequence[Waveform]) -> list[tuple[Any, int]]:
        """Return the encoded batches, and how many windows each has."""
        size = self.engine.batch_size
        batches = [windows[i : i + size] for i in range(0, len(windows), size)]
        return [(self.engine.encode(batch), len(batch)) for batch in batches]

    def _languages(self, batches: list[tuple[Any, int]], owners: Sequence[int]) -> dict[int, Languages]:
        """Return the languages of each recording with speech, and their probabilities."""
        found = [row for batch, _ in batches for row in self.engine.detect_language(batch)]
        groups: dict[int, list[Languages]] = {}
        for owner, row in zip(owners, found, strict=True):
            groups.setdefault(owner, []).append(row)
        return {owner: pooled(rows) for owner, rows in groups.items()}

    def _choice(self, recording: Recording, found: Languages) -> str | None:
        if recording.language is not None:
            return recording.language
        return found[0][0] if found[0][0] in self.languages else None

    def _texts(
        self, batches: list[tuple[Any, int]], owners: Sequence[int], chosen: dict[int, str | None]
    ) -> dict[int, list[Hypothesis]]:
        """Return the hypotheses of each recording that is decoded, one per window."""
        texts: dict[int, list[Hypothesis]] = {}
        position = 0
        for batch, size in batches:
            own = owners[position : position + size]
            position += size
            for owner, found in zip(
                own, self.engine.transcribe(batch, [chosen[o] for o in own]), strict=True
            ):
                if found is not None:
                    texts.setdefault(owner, []).append(found)
        return texts

    def _row(
        self,
        recording: Recording,
        speech_s: float,
        languages: Languages | None,
        texts: list[Hypothesis] | None,
    ) -> ClipLabel:
        row = ClipLabel(
            id=recording.id,
            video=recording.video,
            state=NO_SPEECH,
            duration_s=len(recording.waveform) / SAMPLE_RATE_HZ,
            speech_s=speech_s,
            model=self.engine.name,
        )
        if languages is None:
            return row
        known = dict(languages)
        top = " ".join(f"{code}:{_digits(p)}" for code, p in languages[:NUM_LANGUAGES])
        if texts is None:
            best, probability = languages[0]
            return replace(
                row, state=OTHER_LANGUAGE, language=best, language_probability=probability, languages=top
            )
        code = texts[0].language
        row = replace(row, language=code, language_probability=known.get(code, 0.0), languages=top)
        return with_text(row, texts)


def pooled(rows: Sequence[Languages]) -> Languages:
    """Multiply the language probabilities of a recording's windows, as if the windows were independent.

    Args:
        rows: (language, probability) pairs of each window.

    Returns:
        The same for the recording, the likeliest first.
    """
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


def _digits(probability: float) -> str:
    return f"{probability:.4f}"


def with_text(row: ClipLabel, texts: Sequence[Hypothesis]) -> ClipLabel:
    """Add the text of a recording and its scores to a row.

    Args:
        row: row of the recording, with duration and speech.
        texts: hypotheses of its windows, in order.

    Returns:
        The row; ln p is averaged over tokens, the probability of silence over windows.
    """
    text = " ".join(" ".join(part.text.split()) for part in texts if part.text).strip()
    sizes = [part.num_tokens + 1 for part in texts]  # with the end-of-text token
    silences = [part.no_speech_prob for part in texts if part.no_speech_prob is not None]
    return replace(
        row,
        state=LABELLED,
        text=text,
        avg_logprob=sum(part.avg_logprob * size for part, size in zip(texts, sizes, strict=True))
        / sum(sizes),
        no_speech_prob=sum(silences) / len(silences) if silences else None,
        compression_ratio=compression_ratio(text),
        loop_score=loop_score(text),
        characters_per_second=characters_per_second(text, row.speech_s),
        num_tokens=sum(part.num_tokens for part in texts),
        temperature=max(part.temperature for part in texts),
    )
