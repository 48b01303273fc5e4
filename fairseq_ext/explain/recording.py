"""One recording explained: the maps of a word, character or class over its log-mel, with the CTC alignment.

Legend: S samples, V symbols, U tokens of a transcript.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..decoding.alignment import AlignedWord, TokenSpan, align, aligned_words, greedy_spans
from ..modules.spectral import MelSpectrogram
from ..text.units import WORD_END, are_pieces, to_characters
from .maps import FrameGrid
from .methods import attribute
from .network import Network
from .plot import Label, Spectrogram, attribution_rows
from .targets import ClassTarget, Target, TokenTarget

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TARGET_TYPES = ("word", "char", "class")
NUM_MELS = 64
# Longer recordings are hard to see in a picture, and a transformer with gradients runs out of memory.
MAX_DURATION_S = 30.0


def parse_target(text: str) -> tuple[str, str]:
    """Parse `word:N`, `char:N` (from 1, spaces not counted) or `class:NAME` into the part before and after the colon.

    Raises:
        ValueError: the text has another form.
    """
    target_type, _, which = text.partition(":")
    if target_type not in TARGET_TYPES or not which or (target_type != "class" and not which.isdecimal()):
        raise ValueError(f"target: word:N, char:N or class:NAME expected, found {text!r}; N counts from 1")
    return target_type, which


def tokens_of(text: str, symbols: Sequence[str]) -> list[int]:
    """Convert a transcript, normalised as in training, to the indices of a recogniser's characters.

    Raises:
        ValueError: the recogniser has pieces instead of characters, or lacks a character.
    """
    if are_pieces(symbols):
        raise ValueError(
            "transcript: a text cannot be aligned by a recogniser of SentencePiece pieces; leave the text out"
        )
    number = {symbol: i for i, symbol in enumerate(symbols)}
    units = to_characters(text)
    if unknown := sorted(set(units) - set(number)):
        raise ValueError(
            f"transcript {text!r}: the recogniser has no symbol for {unknown}; write the text as in training, e.g. "
            "in lower case and without punctuation"
        )
    return [number[unit] for unit in units]


def draw_word(
    network: Network,
    samples: NDArray[np.float32],
    symbols: Sequence[str],
    target: str,
    methods: Sequence[str],
    *,
    text: str | None = None,
    device: str = "cpu",
) -> Figure:
    """Draw the explanation of a word or character of a recording.

    Args:
        network: recogniser, with the layer of the maps.
        samples: recording at the network's sample rate, (S,).
        symbols: V symbols of the recogniser.
        target: `word:N` or `char:N`, see `parse_target`.
        methods: keys of `METHODS`, one row of the figure each.
        text: transcript for `tokens_of`; None = the result of greedy decoding.
        device: torch device of the network.

    Raises:
        ValueError: there is no such word or character, or the recording is too long.
    """
    target_type, which = parse_target(target)
    waveform = _waveform(samples, network, device)
    log_probs = network.output(waveform)[0]
    spans = greedy_spans(log_probs) if text is None else align(log_probs, tokens_of(text, symbols))
    words = aligned_words(spans, symbols)
    chosen = pick_target(words, target_type, which)
    transcript = " ".join(word.text for word in words)
    title = f"{target_type} “{chosen.name}” of “{transcript}” ({'recognised' if text is None else 'given'})"
    return _draw(network, waveform, chosen, methods, title, _aligned_labels(spans, symbols, network.grid))


def draw_class(
    network: Network,
    samples: NDArray[np.float32],
    labels: Sequence[str],
    target: str,
    methods: Sequence[str],
    *,
    device: str = "cpu",
) -> Figure:
    """Draw the explanation of a class of a recording, `class:NAME` of `labels`, as `draw_word`.

    Raises:
        ValueError: there is no such class, or the recording is too long.
    """
    _, name = parse_target(target)
    if name not in labels:
        raise ValueError(
            f"target {target!r}: the classifier has no class {name!r}; name one of {list(labels)}"
        )
    waveform = _waveform(samples, network, device)
    probabilities = network.output(waveform)[0].softmax(0)
    index = list(labels).index(name)
    title = f"class “{name}”, probability {float(probabilities[index]):.2f}"
    return _draw(network, waveform, ClassTarget(name, index), methods, title, ())


def _aligned_labels(spans: Sequence[TokenSpan], symbols: Sequence[str], grid: FrameGrid) -> list[Label]:
    """Convert an alignment to labels that can be drawn, one per symbol, without word ends."""
    return [
        Label(symbols[span.token], *grid.span_s(span.start, span.end))
        for span in spans
        if symbols[span.token] != WORD_END
    ]


def _waveform(samples: NDArray[np.float32], network: Network, device: str) -> Tensor:
    """Return the recording as (1, S) on the device."""
    duration_s = len(samples) / network.sample_rate_hz
    if duration_s > MAX_DURATION_S:
        raise ValueError(
            f"recording: {MAX_DURATION_S:g} s at most expected, found {duration_s:.1f} s; cut the stretch out first"
        )
    return torch.from_numpy(samples)[None].to(device)


def pick_target(words: Sequence[AlignedWord], target_type: str, which: str) -> TokenTarget:
    """Return the word or character of a number, see `parse_target`.

    Raises:
        ValueError: there is no such number; the message lists those that there are.
    """
    if target_type == "word":
        found = [TokenTarget(word.text, word.spans) for word in words]
    else:
        pairs = [pair for word in words for pair in zip(word.letters, word.spans, strict=True)]
        found = [TokenTarget(letter, (span,)) for letter, span in pairs]
    number = int(which)
    if not 1 <= number <= len(found):
        listed = ", ".join(f"{i} {target.name}" for i, target in enumerate(found, 1)) or "none"
        raise ValueError(
            f"target {target_type}:{number} does not exist; give the number of one of these: {listed}"
        )
    return found[number - 1]


def _draw(
    network: Network,
    waveform: Tensor,
    target: Target,
    methods: Sequence[str],
    title: str,
    aligned: Sequence[Label],
) -> Figure:
    maps = [attribute(network, waveform, target, method) for method in methods]
    return attribution_rows(spectrogram(waveform, network.sample_rate_hz), maps, title=title, aligned=aligned)


def spectrogram(waveform: Tensor, sample_rate_hz: int) -> Spectrogram:
    """Compute the log-mel spectrogram of a recording (1, S), which maps are drawn over."""
    return Spectrogram.of(waveform.cpu(), MelSpectrogram(sample_rate_hz, n_mels=NUM_MELS), sample_rate_hz)
