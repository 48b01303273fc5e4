"""From a recogniser's output over a split to texts, their files and their scores, decoder by decoder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...text.spelling import Spelling
from .acoustics import Acoustics, SpeechSplit, hours_of
from .confusion_matrix import confusion_matrices, csv_name, write_csv
from .decoders import Decoder
from .scores import score_recognition
from .transcripts import Transcripts, file_name, write_transcripts


@dataclass(frozen=True)
class SplitScorer:
    """What turns the output of a network over a split into scores.

    Attributes:
        speech: the split.
        spelling: how its texts are spelled.
        sample_rate_hz: rate at which its rows count samples, Hz.
        with_visemes: whether visemes are scored too.
        out: folder of the files.
    """

    speech: SpeechSplit
    spelling: Spelling
    sample_rate_hz: int
    with_visemes: bool
    out: Path

    def __call__(
        self, decoders: Sequence[Decoder], found: Acoustics, condition: str = ""
    ) -> dict[str, dict[str, Any]]:
        """Decode, write transcripts and, of clean sound, confusions; return decoder -> what metrics.json holds of it.

        Args:
            decoders: the decoders.
            found: output of the network.
            condition: name of the noise that was mixed with the sound, for the names of the files; empty = none.
        """
        read = self.speech.subset(found.rows)
        spelled = read.texts(self.spelling)
        seconds_of_audio = 3600 * hours_of(read.entries, self.sample_rate_hz)
        scores = {}
        for decoder in decoders:
            texts, seconds = decode(decoder, found)
            transcripts = sorted_transcripts(read, texts, spelled, self.spelling)
            write_transcripts(self.out / file_name(decoder.name, condition), transcripts)
            if not condition:
                self._write_confusions(decoder.name, transcripts)
            score = score_recognition(
                read.references,
                texts,
                *_who(read),
                self.spelling.language,
                spell=self.spelling,
                spelled=spelled,
                with_visemes=self.with_visemes,
            )
            factor = (found.network_s + seconds) / seconds_of_audio
            scores[decoder.name] = {
                "settings": dict(decoder.settings),
                "real_time_factor": factor,
                **score,
            }
        return scores

    def _write_confusions(self, decoder: str, transcripts: Transcripts) -> None:
        language = self.spelling.language if self.with_visemes else ""
        references, hypotheses = zip(*transcripts.spelled, strict=True)
        for matrix in confusion_matrices(references, hypotheses, language):
            write_csv(self.out / csv_name(decoder, matrix.unit), matrix)


def decode(decoder: Decoder, found: Acoustics) -> tuple[list[str], float]:
    """Return texts in the order of `found.rows`, and the seconds that decoding took."""
    start = time.perf_counter()
    inputs = [
        (*batch, memory) if decoder.needs_memory else batch
        for batch, memory in zip_longest(found.batches, found.memories)
    ]
    batches = tqdm(inputs, desc=decoder.name, unit="batch", leave=False, disable=None)
    texts = [text for batch in batches for text in decoder.decode(*batch)]
    return texts, time.perf_counter() - start


def _who(read: SpeechSplit) -> tuple[list[str], list[str | None], list[str | None]]:
    """Return speakers, accents and genders."""
    return (
        [str(u.speaker) for u in read.utterances],
        [u.accent for u in read.utterances],
        [u.gender for u in read.utterances],
    )


def sorted_transcripts(
    read: SpeechSplit, texts: list[str], spelled: list[str], spelling: Spelling
) -> Transcripts:
    """Sort texts by id, as batches are sorted by length."""
    columns = zip(
        (u.id for u in read.utterances),
        (str(u.speaker) for u in read.utterances),
        read.references,
        texts,
        zip(spelled, map(spelling, texts), strict=True),
        strict=True,
    )
    ids, speakers, references, hypotheses, sides = zip(*sorted(columns), strict=True)
    return Transcripts(ids, speakers, references, hypotheses, sides)
