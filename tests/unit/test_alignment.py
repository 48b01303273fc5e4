"""Alignment: the likeliest of all paths, times of words, refusal of what cannot be aligned."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from fairseq_ext.decoding.alignment import TokenSpan, align, aligned_words, greedy_spans, timed_words
from fairseq_ext.decoding.ctc import greedy

SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>", "|", "à", "ŀ"]
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁pla", "ça", "▁és"]


def noise(num_frames: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(num_frames, len(SYMBOLS), generator=generator)).log_softmax(-1)


def peaks(path: list[int], num_symbols: int, p: float = 0.9) -> Tensor:
    probs = torch.full((len(path), num_symbols), (1 - p) / (num_symbols - 1))
    probs[range(len(path)), path] = p
    return probs.log()


def best_alignment(log_probs: Tensor, tokens: list[int]) -> tuple[float, tuple[int, ...]]:
    rows = log_probs.double().tolist()
    paths = (
        path
        for path in itertools.product([0, *set(tokens)], repeat=len(rows))
        if [symbol for symbol, _ in itertools.groupby(path) if symbol] == tokens
    )
    return max((sum(row[s] for row, s in zip(rows, path, strict=True)), path) for path in paths)


@pytest.mark.parametrize("tokens", [[5], [5, 6], [5, 5], [6, 4, 6], [3, 5]])
def test_alignment_is_the_likeliest_path(tokens: list[int]) -> None:
    for seed in range(5):
        log_probs = noise(6, seed)
        score, path = best_alignment(log_probs, tokens)
        spans = align(log_probs, tokens)
        assert [span.token for span in spans] == tokens
        found = [0] * 6
        for span in spans:
            found[span.start : span.end] = [span.token] * (span.end - span.start)
        assert tuple(found) == path
        blanks = sum(float(log_probs[t, 0]) for t, symbol in enumerate(path) if symbol == 0)
        assert sum(span.log_prob for span in spans) + blanks == pytest.approx(score, abs=1e-5)


def test_words_have_the_times_of_their_letters() -> None:
    path = [0, 5, 5, 0, 6, 4, 0, 0, 6, 0, 4, 4]
    spans = align(peaks(path, len(SYMBOLS)), [5, 6, 4, 6, 4])
    words = timed_words(spans, SYMBOLS, 0.02, start_s=10.0)
    assert [word.text for word in words] == ["àŀ", "ŀ"]
    assert [word.text.encode() for word in words] == ["àŀ".encode(), "ŀ".encode()]
    assert (words[0].start_s, words[0].end_s) == pytest.approx((10.02, 10.10))
    assert (words[1].start_s, words[1].end_s) == pytest.approx((10.16, 10.18))
    assert words[0].confidence == pytest.approx(0.9, abs=1e-6)


def test_words_of_pieces_begin_at_their_mark() -> None:
    spans = [
        TokenSpan(5, 2, 3, -0.1),
        TokenSpan(6, 4, 6, -0.2),
        TokenSpan(4, 6, 7, -9.0),
        TokenSpan(7, 9, 10, 0.0),
    ]
    words = timed_words(spans, PIECES, 0.5)
    assert [(word.text, word.start_s, word.end_s) for word in words] == [
        ("plaça", 1.0, 3.0),
        ("és", 4.5, 5.0),
    ]
    assert words[0].confidence == pytest.approx(math.exp(-0.1))
    assert timed_words([], PIECES, 0.5) == []
    assert [word.text for word in aligned_words(spans, PIECES)] == [word.text for word in words]
    assert sum(len(word.letters) for word in aligned_words(spans, PIECES)) <= len(spans)
    assert all(len(word.letters) == len(word.spans) for word in aligned_words(spans, PIECES))


def test_greedy_spans_say_what_greedy_decoding_says() -> None:
    for seed in range(5):
        log_probs = noise(40, seed)
        spans = greedy_spans(log_probs)
        (found,) = greedy(log_probs[None], torch.tensor([40]), SYMBOLS)
        assert tuple(span.token for span in spans) == found.tokens
        assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
        assert " ".join(word.text for word in timed_words(spans, SYMBOLS, 0.02)) == found.text
        forced = align(log_probs, found.tokens)
        assert sum(s.end - s.start for s in forced) > 0
        assert [s.token for s in forced] == [s.token for s in spans]


def test_clear_speech_aligns_as_greedy_reads_it() -> None:
    log_probs = peaks([0, 5, 0, 5, 5, 0, 4, 6, 0, 0], len(SYMBOLS))
    assert align(log_probs, [5, 5, 4, 6]) == greedy_spans(log_probs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_align_alike(dtype: torch.dtype) -> None:
    log_probs = peaks([0, 5, 0, 4, 6], len(SYMBOLS))
    spans = align(log_probs.to(dtype), [5, 4, 6])
    assert [(s.start, s.end) for s in spans] == [(s.start, s.end) for s in align(log_probs, [5, 4, 6])]


def test_too_short_a_recording_is_refused_with_the_numbers() -> None:
    assert len(align(noise(5, 1), [5, 5, 6, 4])) == 4
    message = r"5 frames or more expected \(4 symbols and a blank between each of 1 repeats\), found 4"
    with pytest.raises(ValueError, match=message):
        align(noise(4, 1), [5, 5, 6, 4])
    assert align(noise(4, 1), []) == []
    assert align(noise(0, 1), []) == []


@pytest.mark.parametrize(
    ("log_probs", "tokens", "message"),
    [
        (torch.zeros(1, 5, 7), [5], r"shape \(T, V\) expected, found \(1, 5, 7\)"),
        (torch.zeros(5, 7), [5, 0], "symbols from 1 to 6 expected, found 0"),
        (torch.zeros(5, 7), [7], "symbols from 1 to 6 expected, found 7"),
    ],
)
def test_bad_input_is_refused(log_probs: Tensor, tokens: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        align(log_probs, tokens)
