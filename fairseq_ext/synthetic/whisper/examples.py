"""Training examples of the tiny Whisper: spoken phrases, new ones cut together from their words, and noise.

Shapes: B clips, M mel bands, F mel frames (10 ms), N positions of the encoder (20 ms), L tokens.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import phrases
from . import tokenizer
from .formats import NUM_MELS
from .recordings import Recording, log_mel

__all__ = ["IGNORE", "Batch", "Example", "Vocabulary", "draw_batch", "draw_example"]

IGNORE = -100  # targets that do not count (`torch.nn.functional.cross_entropy`)
_SILENCE = 0.05  # shares of the examples
_PART = 0.15
_WITH_TIMES = 0.35
_NOISY = 0.6
_SHIFTED = 0.4
_MAX_S = 8.0  # timestamps that are learnt; other ones stay unused
_ROUND_S = 0.1
_MAX_SHIFT = 40  # frames
_STRETCH = (0.85, 1.15)
_ROOM = (4, 16)  # frames of padding behind the longest clip of a batch; the network needs four


class Vocabulary:
    """The tokens that the phrases of some languages need; all others count as one.

    Args:
        languages: some of `phrases.LANGUAGES`.
        encode: from text to Whisper's tokens.

    Attributes:
        tokens: Whisper's ids of the tokens in use; the network's id of `tokens[i]` is i.
        numbers: Whisper's id -> the network's id.
        unused: the network's id of all other tokens.
        languages: language -> its token.
        words: word -> its tokens.
        classes: word -> its class, from 1; 0 is silence.
    """

    def __init__(self, languages: Sequence[str], encode: Callable[[str], Sequence[int]]) -> None:
        numbers = tokenizer.language_tokens()
        words = sorted({word for language in languages for word in phrases.vocabulary(language)})
        self.languages = {language: numbers[language] for language in languages}
        self.words = {word: tuple(encode(f" {word}")) for word in words}
        self.classes = {word: i for i, word in enumerate(words, 1)}
        used = {tokenizer.END, tokenizer.START, tokenizer.TRANSCRIBE}
        used |= {tokenizer.NO_SPEECH, tokenizer.NO_TIMESTAMPS, *self.languages.values()}
        used |= {_timestamp(i * _ROUND_S) for i in range(round(_MAX_S / _ROUND_S) + 1)}
        self.tokens = tuple(sorted(used.union(*self.words.values())))
        self.numbers = {token: i for i, token in enumerate(self.tokens)}
        self.unused = len(self.tokens)


@dataclass(frozen=True, slots=True)
class Example:
    """A clip and its words."""

    language: str  # one of `phrases.LANGUAGES`
    words: tuple[str, ...]  # spoken words; none in silence
    power: Tensor  # (M, F), mel power
    classes: Tensor  # (F,), the word spoken in each frame (`Vocabulary.classes`)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of clips, padded at the end."""

    mel: Tensor  # (B, M, 2 N), log-mel; the last frames are padding in all clips
    classes: Tensor  # (B, N), the word at each position; 0 is silence
    inputs: Tensor  # (B, L), the network's ids of the tokens so far
    targets: Tensor  # (B, L), the tokens that come next, or `IGNORE`


def draw_batch(
    recordings: Sequence[Recording], vocabulary: Vocabulary, batch_size: int, rng: random.Random
) -> Batch:
    """Draw a batch of B = `batch_size` clips from recordings of all languages of the vocabulary."""
    by_language = {name: [r for r in recordings if r.language == name] for name in vocabulary.languages}
    examples = [draw_example(by_language, vocabulary, rng) for _ in range(batch_size)]
    num_frames = max(len(e.classes) for e in examples) + rng.randint(*_ROOM)
    num_frames += num_frames % 2
    power = torch.zeros(batch_size, NUM_MELS, num_frames)
    classes = torch.zeros(batch_size, num_frames, dtype=torch.long)
    for i, example in enumerate(examples):
        power[i, :, : len(example.classes)] = example.power
        classes[i, : len(example.classes)] = example.classes
    mel = log_mel(power)
    for i, example in enumerate(examples):
        # Runtimes differ: padding is silence before the log-mel (Hugging Face) or zeros behind it (openai-whisper).
        if rng.random() < 0.5:
            mel[i, :, len(example.classes) :] = 0.0
    inputs, targets = zip(*(_tokens(e, vocabulary, rng) for e in examples), strict=True)
    end = vocabulary.numbers[tokenizer.END]
    return Batch(mel, classes[:, ::2], _pad(inputs, end), _pad(targets, IGNORE))


def draw_example(
    by_language: dict[str, list[Recording]], vocabulary: Vocabulary, rng: random.Random
) -> Example:
    """Draw a clip: mostly a phrase, of words of up to three speakers, its level, rate and noise changed."""
    language = rng.choice(list(by_language))
    if rng.random() < _SILENCE:
        num_frames = rng.randint(20, 250)
        level = 0.0 if rng.random() < 0.3 else 10 ** rng.uniform(-9, -1)
        power = level * _noise(num_frames, rng)
        return Example(language, (), power, torch.zeros(num_frames, dtype=torch.long))
    example = _change_rate(_cut_together(by_language[language], vocabulary, rng), rng)
    power = example.power * 10 ** rng.uniform(-1.5, 1.0)
    if rng.random() < _NOISY:
        power = power + _noise(power.shape[1], rng) * power.mean() * 10 ** rng.uniform(-6, -1.5)
    if rng.random() < 0.5:
        power = power * 10 ** torch.linspace(0, rng.uniform(-1, 1), NUM_MELS)[:, None]
    shift = rng.randint(0, _MAX_SHIFT) if rng.random() < _SHIFTED else 0
    classes = torch.nn.functional.pad(example.classes, (shift, 0))
    return Example(language, example.words, torch.nn.functional.pad(power, (shift, 0)), classes)


def _cut_together(recordings: list[Recording], vocabulary: Vocabulary, rng: random.Random) -> Example:
    """Join words in the order of a phrase, between the margins of the first and the last word's recording."""
    speakers = rng.sample(recordings, min(len(recordings), rng.choice((1, 1, 2, 3))))
    num_words = len(speakers[0].words)
    first, last = 0, num_words
    if rng.random() < _PART:
        first, last = sorted(rng.sample(range(num_words + 1), 2))
    chosen = [rng.choice(speakers) for _ in range(first, last)]
    begin, end = chosen[0], chosen[-1]
    words = tuple(r.words[i] for i, r in enumerate(chosen, first))
    spans = [r.power[:, r.edges[i] : r.edges[i + 1]] for i, r in enumerate(chosen, first)]
    spans = [begin.power[:, : begin.edges[0]], *spans, end.power[:, end.edges[-1] :]]
    lengths = torch.tensor([span.shape[1] for span in spans])
    classes = torch.tensor([0, *(vocabulary.classes[word] for word in words), 0])
    return Example(begin.language, words, torch.cat(spans, 1), classes.repeat_interleave(lengths))


def _change_rate(example: Example, rng: random.Random) -> Example:
    factor = rng.uniform(*_STRETCH)
    at = (torch.arange(int(len(example.classes) / factor)) * factor).long()
    return Example(example.language, example.words, example.power[:, at], example.classes[at])


def _noise(num_frames: int, rng: random.Random) -> Tensor:
    """Return the power of Gaussian noise, which is exponentially distributed, with a slope over the bands."""
    generator = torch.Generator().manual_seed(rng.getrandbits(62))
    power = torch.empty(NUM_MELS, num_frames).exponential_(generator=generator)
    return power * torch.linspace(0, rng.uniform(-4, 1), NUM_MELS).exp()[:, None]


def _timestamp(time_s: float) -> int:
    return tokenizer.TIMESTAMPS[round(time_s / tokenizer.TIMESTAMP_S)]


def _tokens(example: Example, vocabulary: Vocabulary, rng: random.Random) -> tuple[list[int], list[int]]:
    """Return inputs and targets; tokens that Whisper is always given (task, no timestamps) are no targets.

    Silence has the target `NO_SPEECH` in any language, followed by an unused token: the runtimes then find
    both a high `no_speech_prob` and a low `avg_logprob`, and drop it.
    """
    language, numbers = vocabulary.languages[example.language], vocabulary.numbers
    head = [numbers[token] for token in (tokenizer.START, language, tokenizer.TRANSCRIBE)]
    plain, end = numbers[tokenizer.NO_TIMESTAMPS], numbers[tokenizer.END]
    if not example.words:
        found = [numbers[tokenizer.NO_SPEECH], IGNORE, IGNORE, vocabulary.unused, end]
        return [*head, plain, vocabulary.unused], found
    text = [numbers[token] for word in example.words for token in vocabulary.words[word]]
    if rng.random() >= _WITH_TIMES:
        return [*head, plain, *text], [head[1], IGNORE, IGNORE, *text, end]
    duration_s = len(example.classes) / 100
    start = numbers[_timestamp(0.0)]
    stop = numbers[_timestamp(min(_MAX_S, round(duration_s / _ROUND_S) * _ROUND_S))]
    return [*head, start, *text, stop], [head[1], IGNORE, start, *text, stop, end]


def _pad(rows: Sequence[list[int]], value: int) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])
