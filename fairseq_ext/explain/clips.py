"""Recordings with known word boundaries, as a recogniser aligns them: what the pointing game is played on.

Legend: S samples, T frames, V symbols, U tokens of a transcript.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, zip_longest
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..decoding.alignment import AlignedWord, align, aligned_words
from ..decoding.ctc import greedy
from ..manifest import Utterance, read_labels
from ..scoring.embeddings import read_waveforms
from ..scoring.recognition.acoustics import SpeechSplit, read_speech
from ..scoring.trained import Recognizer
from ..splits import by_speaker
from ..text import scoring
from .pointing import Span
from .spoken import SpokenWord, WordTimes
from .targets import TokenTarget


@dataclass(frozen=True)
class Word:
    """A case of the pointing game.

    Attributes:
        target: the word's score: all its symbols on their aligned frames.
        spoken_s: when it was said, s.
        aligned: its symbols on the frames.
        is_heard: whether greedy decoding has the word where the transcript has it.
    """

    target: TokenTarget
    spoken_s: Span
    aligned: AlignedWord
    is_heard: bool


@dataclass(frozen=True)
class Clip:
    """A recording, its alignment, and its words whose boundaries are known.

    Attributes:
        id: of the utterance.
        speaker: who speaks.
        waveform: (1, S) on the network's device.
        transcript: what was said.
        words: the cases.
    """

    id: str
    speaker: str
    waveform: Tensor
    transcript: str
    words: tuple[Word, ...]


def read_clips(
    recognizer: Recognizer,
    data: Path,
    split: str,
    times: WordTimes,
    *,
    max_utterances: int,
    device: str = "cpu",
) -> list[Clip]:
    """Reads and aligns recordings of a split, from its speakers in turn.

    Args:
        recognizer: that aligns them, by the transcripts in its own units.
        data: manifest folder.
        split: such as `test`.
        times: when their words were said.
        max_utterances: so many at most, drawn once for all recognisers.
        device: torch device.

    Returns:
        The clips; recordings that cannot be read or aligned are left out.

    Raises:
        ValueError: no recording with known boundaries, or boundaries of other words.
    """
    speech = read_speech(data, split)
    units = list(read_labels(data, split, str(recognizer.cfg.task.labels)))
    chosen = choose_utterances(speech.utterances, times, max_utterances)
    if not chosen:
        raise ValueError(
            f"{data}/{split}: utterances with word times expected, found none of {len(speech.utterances)}; hand in the "
            "times of this split"
        )
    recognizer.model.to(device).eval()
    clips = list(_aligned(recognizer, speech, units, times, chosen, device))
    if not clips:
        raise ValueError(
            f"{data}/{split}: recordings that can be read and aligned expected, found none of {len(chosen)}; run "
            "tools/check_data.py, and compare the recogniser's symbols with the labels"
        )
    return clips


def choose_utterances(utterances: Sequence[Utterance], times: WordTimes, at_most: int) -> list[int]:
    """Draws utterances with word times, the speakers in turn, so that intervals over speakers have many of them.

    Args:
        utterances: of a split.
        times: when their words were said.
        at_most: how many.

    Returns:
        Their positions.
    """
    position = {u.id: i for i, u in enumerate(utterances)}
    order = np.random.default_rng(0).permutation(len(utterances))
    known = [utterances[i] for i in order if utterances[i].id in times]
    in_turn = filter(None, chain.from_iterable(zip_longest(*by_speaker(known).values())))
    return [position[u.id] for u in in_turn][:at_most]


def _aligned(
    recognizer: Recognizer,
    speech: SpeechSplit,
    units: Sequence[str],
    times: WordTimes,
    chosen: Sequence[int],
    device: str,
) -> Iterator[Clip]:
    failures: list[tuple[int, str]] = []
    read = read_waveforms(speech.entries, chosen, recognizer.sample_rate_hz, failures)
    numbers = {symbol: i for i, symbol in enumerate(recognizer.symbols)}
    for i, samples in tqdm(read, "align", len(chosen), unit="clip", leave=False, disable=None):
        utterance, row = speech.utterances[i], units[i].split()
        if not all(unit in numbers for unit in row):  # nothing that the network could have said
            continue
        log_probs, lengths = recognizer.log_probs([samples])
        tokens = [numbers[unit] for unit in row]
        if int(lengths[0]) < len(tokens) + sum(a == b for a, b in pairwise(tokens)):  # too fast to be aligned
            continue
        words, is_heard = align_words(recognizer, log_probs[:, : int(lengths[0])], tokens)
        known = times[utterance.id]
        _check_words(utterance.id, words, known)
        cases = [
            Word(TokenTarget(w.text, w.spans), (known[n].start_s, known[n].end_s), w, heard)
            for n, (w, heard) in enumerate(zip(words, is_heard, strict=True))
            if n in known
        ]
        waveform = torch.from_numpy(samples)[None].to(device)
        text = " ".join(word.text for word in words)
        yield Clip(utterance.id, str(utterance.speaker), waveform, text, tuple(cases))


def align_words(
    recognizer: Recognizer, log_probs: Tensor, tokens: Sequence[int]
) -> tuple[list[AlignedWord], list[bool]]:
    """Aligns a transcript, and says which of its words greedy decoding finds.

    Args:
        recognizer: the recogniser.
        log_probs: (1, T, V) of a recording.
        tokens: U.

    Returns:
        The words on their frames, and for each whether it was heard.

    Raises:
        ValueError: more tokens than T frames can say.
    """
    words = aligned_words(align(log_probs[0], tokens), recognizer.symbols)
    lengths = torch.tensor([log_probs.shape[1]])
    heard = greedy(log_probs, lengths, recognizer.symbols)[0].text.split()
    pairs = scoring.align([word.text for word in words], heard)
    return words, [said == found for said, found in pairs if said is not None]


def _check_words(name: str, words: Sequence[AlignedWord], known: dict[int, SpokenWord]) -> None:
    for number, spoken in known.items():
        found = words[number].text if number < len(words) else None
        if found != spoken.word:
            raise ValueError(
                f"word times of {name}, word {number}: {found!r} of the transcript expected, found {spoken.word!r}; "
                "hand in the times of this corpus"
            )
