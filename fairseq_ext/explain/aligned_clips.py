"""Recordings with known word boundaries, aligned by a recogniser: the material of the pointing game.

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
from .pointing_score import Span
from .targets import TokenTarget
from .word_times import SpokenWord, WordTimes


@dataclass(frozen=True)
class Word:
    """A case of the pointing game.

    Attributes:
        target: score of the word: all its symbols on their aligned frames.
        spoken_s: start and end in the recording, s.
        aligned: symbols of the word on the frames.
        is_recognised: whether greedy decoding has the word in its place of the transcript.
    """

    target: TokenTarget
    spoken_s: Span
    aligned: AlignedWord
    is_recognised: bool


@dataclass(frozen=True)
class Clip:
    """A recording with the words whose boundaries are known.

    Attributes:
        id: id of the utterance.
        speaker: name of the speaker.
        waveform: samples, (1, S), on the network's device.
        transcript: text of the recording.
        words: words with known boundaries.
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
    """Read and align recordings of a split, from its speakers in turn; those that cannot be are left out.

    Args:
        recognizer: recogniser that aligns the recordings with their transcripts, in its units.
        data: manifest folder.
        split: name of the split, such as `test`.
        times: word times of the utterances.
        max_utterances: recordings at most; the same for all recognisers.
        device: torch device.

    Raises:
        ValueError: no recording has word times, or they are of other words.
    """
    speech = read_speech(data, split)
    units = list(read_labels(data, split, str(recognizer.cfg.task.labels)))
    chosen = choose_utterances(speech.utterances, times, max_utterances)
    if not chosen:
        raise ValueError(
            f"{data}/{split}: none of {len(speech.utterances)} utterances has word times; give the times of this split"
        )
    recognizer.model.to(device).eval()
    clips = list(_aligned(recognizer, speech, units, times, chosen, device))
    if not clips:
        raise ValueError(
            f"{data}/{split}: none of {len(chosen)} recordings can be read and aligned; run fairseq-ext check, and "
            "compare the recogniser's symbols with the labels"
        )
    return clips


def choose_utterances(utterances: Sequence[Utterance], times: WordTimes, at_most: int) -> list[int]:
    """Draw positions of utterances with word times, from the speakers in turn, since intervals are over speakers."""
    return in_turn(utterances, [i for i, u in enumerate(utterances) if u.id in times])[:at_most]


def in_turn(utterances: Sequence[Utterance], known: Sequence[int]) -> list[int]:
    """Return the positions `known` of utterances in a random order, from the speakers in turn, the same every time."""
    position = {u.id: i for i, u in enumerate(utterances)}
    # A fixed seed: all recognisers are scored on the same recordings.
    order = np.random.default_rng(0).permutation(len(utterances))
    chosen = set(known)
    drawn = [utterances[i] for i in order if i in chosen]
    return [
        position[u.id] for u in filter(None, chain.from_iterable(zip_longest(*by_speaker(drawn).values())))
    ]


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
        if not all(unit in numbers for unit in row):  # symbols that the network does not have
            continue
        log_probs, lengths = recognizer.log_probs([samples])
        tokens = [numbers[unit] for unit in row]
        if int(lengths[0]) < len(tokens) + sum(
            a == b for a, b in pairwise(tokens)
        ):  # fewer frames than CTC needs
            continue
        words, is_recognised = _align_words(recognizer, log_probs[:, : int(lengths[0])], tokens)
        known = times[utterance.id]
        _check_words(utterance.id, words, known)
        cases = [
            Word(TokenTarget(w.text, w.spans), (known[n].start_s, known[n].end_s), w, recognised)
            for n, (w, recognised) in enumerate(zip(words, is_recognised, strict=True))
            if n in known
        ]
        waveform = torch.from_numpy(samples)[None].to(device)
        text = " ".join(word.text for word in words)
        yield Clip(utterance.id, str(utterance.speaker), waveform, text, tuple(cases))


def _align_words(
    recognizer: Recognizer, log_probs: Tensor, tokens: Sequence[int]
) -> tuple[list[AlignedWord], list[bool]]:
    """Return the words of U tokens on frames of (1, T, V), and for each whether greedy decoding has it in its place."""
    words = aligned_words(align(log_probs[0], tokens), recognizer.symbols)
    lengths = torch.tensor([log_probs.shape[1]])
    recognised = greedy(log_probs, lengths, recognizer.symbols)[0].text.split()
    pairs = scoring.align([word.text for word in words], recognised)
    return words, [reference == found for reference, found in pairs if reference is not None]


def _check_words(name: str, words: Sequence[AlignedWord], known: dict[int, SpokenWord]) -> None:
    for number, spoken in known.items():
        found = words[number].text if number < len(words) else None
        if found != spoken.word:
            raise ValueError(
                f"word times of {name}, word {number}: {found!r} of the transcript expected, found {spoken.word!r}; "
                "give the times of this corpus"
            )
