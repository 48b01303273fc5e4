"""One recording explained: a word, a character or a class, drawn over its log-mel with the CTC alignment.

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
from ..features.spectral import MelSpectrogram
from ..text.units import WORD_END, are_pieces, to_characters
from .maps import FrameGrid
from .methods import attribute
from .network import Network
from .plot import Label, Spectrogram, attribution_rows
from .targets import ClassTarget, Target, TokenTarget

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("word", "char", "class")
NUM_MELS = 64
# What a picture can show, and a transformer can hold with gradients.
MAX_DURATION_S = 30.0


def parse_target(text: str) -> tuple[str, str]:
    """Reads what is to be explained.

    Args:
        text: `word:N`, `char:N` (from 1, spaces not counted) or `class:NAME`.

    Returns:
        The kind, and the number or name.

    Raises:
        ValueError: anything else.
    """
    kind, _, which = text.partition(":")
    if kind not in KINDS or not which or (kind != "class" and not which.isdecimal()):
        raise ValueError(f"target: word:N, char:N or class:NAME expected, found {text!r}; N counts from 1")
    return kind, which


def tokens_of(text: str, symbols: Sequence[str]) -> list[int]:
    """Spells a transcript in a recogniser's characters.

    Args:
        text: normalised as in training.
        symbols: (V,) of the recogniser.

    Returns:
        U indices.

    Raises:
        ValueError: a recogniser of pieces, or characters that it does not know.
    """
    if are_pieces(symbols):
        raise ValueError(
            "transcript: a recogniser of characters expected, found one of pieces; leave the text out"
        )
    number = {symbol: i for i, symbol in enumerate(symbols)}
    units = to_characters(text)
    if unknown := sorted(set(units) - set(number)):
        raise ValueError(
            f"transcript {text!r}: characters of the recogniser expected, found {unknown}; write it as in training, "
            "e.g. in lower case and without punctuation"
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
    """Explains a word or character of a recording.

    Args:
        network: a recogniser, and the layer to look at.
        samples: (S,) at the network's rate.
        symbols: (V,) of the recogniser.
        target: `word:N` or `char:N`, see `parse_target`.
        methods: keys of `METHODS`; a row each.
        text: what is said, as `tokens_of` wants it; None = what greedy decoding finds.
        device: torch device of the network.

    Returns:
        The figure.

    Raises:
        ValueError: no such word or character, or a recording that is too long.
    """
    kind, which = parse_target(target)
    waveform = _waveform(samples, network, device)
    log_probs = network.output(waveform)[0]
    spans = greedy_spans(log_probs) if text is None else align(log_probs, tokens_of(text, symbols))
    words = aligned_words(spans, symbols)
    chosen = _pick(words, kind, which)
    said = " ".join(word.text for word in words)
    title = f"{kind} “{chosen.name}” of “{said}” ({'heard' if text is None else 'given'})"
    return _draw(network, waveform, chosen, methods, title, aligned_labels(spans, symbols, network.grid))


def draw_class(
    network: Network,
    samples: NDArray[np.float32],
    labels: Sequence[str],
    target: str,
    methods: Sequence[str],
    *,
    device: str = "cpu",
) -> Figure:
    """Explains a class of a recording.

    Args:
        network: a classifier, and the layer to look at.
        samples: (S,) at the network's rate.
        labels: the classes, in the order of the network's outputs.
        target: `class:NAME`.
        methods: keys of `METHODS`; a row each.
        device: torch device of the network.

    Returns:
        The figure.

    Raises:
        ValueError: no such class, or a recording that is too long.
    """
    _, name = parse_target(target)
    if name not in labels:
        raise ValueError(
            f"target {target!r}: a class among {list(labels)} expected, found {name!r}; name one of them"
        )
    waveform = _waveform(samples, network, device)
    probabilities = network.output(waveform)[0].softmax(0)
    index = list(labels).index(name)
    title = f"class “{name}”, probability {float(probabilities[index]):.2f}"
    return _draw(network, waveform, ClassTarget(name, index), methods, title, ())


def aligned_labels(spans: Sequence[TokenSpan], symbols: Sequence[str], grid: FrameGrid) -> list[Label]:
    """Says which symbol is aligned when, to be drawn.

    Args:
        spans: the alignment.
        symbols: (V,) of the recogniser.
        grid: of its frames.

    Returns:
        A label per symbol, without ends of words.
    """
    return [
        Label(symbols[span.token], *grid.span_s(span.start, span.end))
        for span in spans
        if symbols[span.token] != WORD_END
    ]


def _waveform(samples: NDArray[np.float32], network: Network, device: str) -> Tensor:
    """(1, S)."""
    duration_s = len(samples) / network.sample_rate_hz
    if duration_s > MAX_DURATION_S:
        raise ValueError(
            f"recording: {MAX_DURATION_S:g} s at most expected, found {duration_s:.1f} s; cut the stretch out first"
        )
    return torch.from_numpy(samples)[None].to(device)


def _pick(words: Sequence[AlignedWord], kind: str, which: str) -> TokenTarget:
    if kind == "word":
        found = [TokenTarget(word.text, word.spans) for word in words]
    else:
        pairs = [pair for word in words for pair in zip(word.letters, word.spans, strict=True)]
        found = [TokenTarget(letter, (span,)) for letter, span in pairs]
    number = int(which)
    if not 1 <= number <= len(found):
        listed = ", ".join(f"{i} {target.name}" for i, target in enumerate(found, 1)) or "none"
        raise ValueError(f"target {kind}:{number}: one of these expected: {listed}; choose its number")
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
    """The log-mel that maps are drawn over.

    Args:
        waveform: (1, S).
        sample_rate_hz: Hz.

    Returns:
        The spectrogram.
    """
    return Spectrogram.of(waveform.cpu(), MelSpectrogram(sample_rate_hz, n_mels=NUM_MELS), sample_rate_hz)
