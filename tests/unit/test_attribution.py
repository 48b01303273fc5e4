"""Attribution on a CTC network trained here, on words of tones whose boundaries are known."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fairseq_ext.decoding.alignment import align
from fairseq_ext.explain.background import background_noise
from fairseq_ext.explain.integrated import FLOOR_DB, integrated_gradients
from fairseq_ext.explain.maps import AttributionMap, FrameGrid
from fairseq_ext.explain.methods import DEFAULT_METHOD, METHODS, attribute
from fairseq_ext.explain.network import Network
from fairseq_ext.explain.occlusion import occlusions
from fairseq_ext.explain.pointing_score import PointingScore, pointing_game
from fairseq_ext.explain.sanity import map_correlation, randomised_weights
from fairseq_ext.explain.targets import ClassTarget, TokenTarget, TranscriptTarget
from fairseq_ext.modules.spectral import MelSpectrogram, power_to_db

RATE, CLIP_S, HOP_S = 4000, 1.8, 0.02
SYMBOLS = ("<s>", "|", "à", "ç", "ŀ", "o")
# Start and end of each character's sweep, Hz.
SWEEPS_HZ = {"à": (350, 350), "ç": (500, 800), "ŀ": (1150, 1150), "o": (1850, 1450)}
Span = tuple[float, float]


@dataclass(frozen=True)
class Clip:
    waveform: Tensor  # (1, S)
    tokens: list[int]
    spans_s: dict[int, Span]  # position of a token, but for boundaries -> when it sounds
    word_spans_s: list[Span]


def make_clip(generator: np.random.Generator) -> Clip:
    """Make a clip of one or two words of one or two characters, at any level, in noise."""
    waveform = generator.normal(scale=0.05, size=round(CLIP_S * RATE))
    tokens: list[int] = []
    spans: dict[int, Span] = {}
    word_spans = []
    at = generator.uniform(0.05, 0.25)
    for word in range(generator.integers(1, 3)):
        tokens += [1] if word else []
        begin = at
        for _ in range(generator.integers(1, 3)):
            # No character twice in a row: telling them apart is not what is tested.
            letter = str(generator.choice([c for c in SWEEPS_HZ if SYMBOLS.index(c) not in tokens[-1:]]))
            end = at + generator.uniform(0.1, 0.2)
            tone = sweep(*SWEEPS_HZ[letter], round(end * RATE) - round(at * RATE), generator)
            waveform[round(at * RATE) : round(end * RATE)] += tone
            spans[len(tokens)] = (at, end)
            tokens.append(SYMBOLS.index(letter))
            at = end + 0.05
        word_spans.append((begin, end))
        at += generator.uniform(0.1, 0.3)
    level = 10 ** generator.uniform(-1.5, 0)
    return Clip(torch.tensor(level * waveform, dtype=torch.float32)[None], tokens, spans, word_spans)


def sweep(low_hz: float, high_hz: float, num_samples: int, generator: np.random.Generator) -> np.ndarray:
    time_s = np.arange(num_samples) / RATE
    slope = (high_hz - low_hz) / (num_samples / RATE)
    phase = 2 * math.pi * (low_hz * time_s + slope * time_s**2 / 2) + generator.uniform(0, 6)
    edge = np.minimum(np.arange(num_samples) + 1, np.arange(num_samples, 0, -1)) / (0.01 * RATE)
    return np.asarray(np.sin(phase) * np.minimum(edge, 1))


class Features(nn.Module):
    """Log-mel features minus their mean, (B, S) -> (B, T, F)."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = MelSpectrogram(RATE, n_mels=20, window_ms=40, hop_ms=1000 * HOP_S, f_min_hz=100)

    def forward(self, waveform: Tensor) -> Tensor:
        level = power_to_db(self.mel(waveform)[0] + 1e-8) / 10
        return level - level.mean((1, 2), keepdim=True)


class TinyCtc(nn.Module):
    """A few convolutions with a receptive field of 0.4 s; (B, S) -> (B, T, V)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.features = Features()
        self.first = nn.Conv1d(20, width, 5, padding=2)
        self.rest = nn.ModuleList(nn.Conv1d(width, width, 5, padding=4, dilation=2) for _ in range(2))
        self.head = nn.Linear(width, len(SYMBOLS))

    def forward(self, waveform: Tensor) -> Tensor:
        return self.classify(self.features(waveform))

    def classify(self, features: Tensor) -> Tensor:
        frames = nn.functional.gelu(self.first(features.transpose(1, 2)))  # (B, D, T)
        for layer in self.rest:
            frames = frames + nn.functional.gelu(layer(frames))
        return self.head(frames.transpose(1, 2)).log_softmax(2)


def train(clips: list[Clip], num_updates: int = 500, batch_size: int = 16) -> TinyCtc:
    torch.manual_seed(2)
    network = TinyCtc()
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.005)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.005, total_steps=num_updates)
    with torch.no_grad():
        features = network.features(torch.cat([clip.waveform for clip in clips]))
    for _ in range(num_updates):
        chosen = torch.randint(len(clips), (batch_size,))
        # Noise in the features makes the network use a whole tone, not only one edge of it.
        noisy = features[chosen] + 0.5 * torch.randn_like(features[chosen])
        log_probs = network.classify(noisy).transpose(0, 1)  # (T, B, V)
        tokens = [torch.tensor(clips[i].tokens) for i in chosen]
        lengths = torch.tensor([len(row) for row in tokens])
        frames = torch.full((batch_size,), len(log_probs))
        loss = nn.functional.ctc_loss(log_probs, torch.cat(tokens), frames, lengths)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return network.eval()


@pytest.fixture(scope="module")
def model() -> TinyCtc:
    generator = np.random.default_rng(1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train([make_clip(generator) for _ in range(400)])
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    generator = np.random.default_rng(2)
    return [make_clip(generator) for _ in range(24)]


@pytest.fixture
def network(model: TinyCtc) -> Network:
    return Network(model, model.features, 1, FrameGrid(HOP_S, 0.0), RATE)


Explain = Callable[[Network, Tensor, TokenTarget], AttributionMap]
ExplainEach = Callable[[Network, Tensor, list[TokenTarget]], list[AttributionMap]]


def score(network: Network, clips: list[Clip], method: Explain) -> PointingScore:
    """Play the pointing game with every character."""
    return score_each(network, clips, one_by_one(method))


def one_by_one(method: Explain) -> ExplainEach:
    return lambda network, waveform, targets: [method(network, waveform, target) for target in targets]


def score_each(network: Network, clips: list[Clip], method: ExplainEach) -> PointingScore:
    maps, spans, groups = [], [], []
    for index, clip in enumerate(clips):
        found = align(network.output(clip.waveform)[0], clip.tokens)
        targets = [TokenTarget(SYMBOLS[clip.tokens[i]], (found[i],)) for i in clip.spans_s]
        maps += method(network, clip.waveform, targets)
        spans += clip.spans_s.values()
        groups += [index] * len(targets)
    return pointing_game(maps, spans, tolerance_s=HOP_S / 2, seed=1, groups=groups)


def greedy(log_probs: Tensor) -> list[int]:
    return [int(t) for t in log_probs[0].argmax(1).unique_consecutive() if t]


def test_the_network_under_study_has_learnt_its_task(network: Network, clips: list[Clip]) -> None:
    right = [greedy(network.output(clip.waveform)) == clip.tokens for clip in clips]
    assert np.mean(right) >= 0.95


def test_default_method_points_at_characters_and_gradcam_does_not(
    network: Network, clips: list[Clip]
) -> None:
    hires, plain = (score(network, clips, METHODS[name]) for name in (DEFAULT_METHOD, "gradcam"))
    assert hires.hit_rate.value >= 0.95
    assert hires.mass_inside.value >= 0.8
    assert plain.hit_rate.value < hires.hit_rate.low - 0.1
    assert plain.mass_inside.value < hires.mass_inside.value - 0.2
    assert hires.chance == plain.chance < 0.15
    assert hires.num_cases == sum(len(clip.spans_s) for clip in clips)


@pytest.mark.parametrize(
    "method",
    [
        occlusions,
        one_by_one(partial(integrated_gradients, batch_size=32)),
        one_by_one(partial(integrated_gradients, place="layer", batch_size=32)),
    ],
    ids=["occlusion", "integrated_gradients", "integrated_gradients_layer"],
)
def test_cross_checks_agree(network: Network, clips: list[Clip], method: ExplainEach) -> None:
    found = score_each(network, clips[:12], method)
    assert found.hit_rate.value >= 0.9
    assert found.mass_inside.value >= 0.6
    assert found.num_flat == 0


def test_gradcam_of_a_whole_transcript_says_little(network: Network, clips: list[Clip]) -> None:
    def whole(network: Network, waveform: Tensor, target: TokenTarget) -> AttributionMap:
        tokens = tuple(greedy(network.output(waveform)))
        return attribute(network, waveform, TranscriptTarget("all", tokens), "gradcam")

    several = [clip for clip in clips if len(clip.spans_s) > 2]
    assert score(network, several, whole).hit_rate.value < 0.5


def test_deep_layers_point_at_the_ctc_peak_instead_of_the_sound(model: TinyCtc, clips: list[Clip]) -> None:
    """At the head a map cannot leave the aligned frames, which here lie beside the character."""
    head = Network(model, model.head, 1, FrameGrid(HOP_S, 0.0), RATE)
    for clip in clips[:8]:
        found = align(head.output(clip.waveform)[0], clip.tokens)[0]
        values = attribute(head, clip.waveform, TokenTarget("x", (found,))).values
        assert set(np.flatnonzero(values)) <= set(range(found.start, found.end))
    assert score(head, clips, METHODS["hirescam"]).hit_rate.value < 0.9


def words(tokens: Sequence[int], boundary: int) -> list[range]:
    """Split a transcript at its word boundaries: positions of each word's tokens."""
    cuts = [-1, *(i for i, token in enumerate(tokens) if token == boundary), len(tokens)]
    return [range(low + 1, high) for low, high in pairwise(cuts) if high > low + 1]


def test_words_are_split_at_boundaries() -> None:
    assert words([5, 6, 1, 7], boundary=1) == [range(2), range(3, 4)]
    assert words([1, 1, 5, 1], boundary=1) == [range(2, 3)]
    assert words([], boundary=1) == []


def test_words_are_found(network: Network, clips: list[Clip]) -> None:
    maps, spans = [], []
    for clip in clips:
        found = align(network.output(clip.waveform)[0], clip.tokens)
        for positions, span in zip(words(clip.tokens, SYMBOLS.index("|")), clip.word_spans_s, strict=True):
            name = "".join(SYMBOLS[clip.tokens[i]] for i in positions)
            target = TokenTarget(name, tuple(found[i] for i in positions))
            maps.append(attribute(network, clip.waveform, target))
            assert maps[-1].target == name
            spans.append(span)
    assert pointing_game(maps, spans, tolerance_s=HOP_S / 2, seed=1).hit_rate.value >= 0.95


@pytest.mark.parametrize("method", METHODS)
def test_classes_are_found(model: TinyCtc, clips: list[Clip], method: str) -> None:
    """A classifier of utterances by the characters in them points at the only place of one."""
    classifier = Network(
        lambda waveform: model(waveform).logsumexp(1), model.features, 1, FrameGrid(HOP_S, 0.0), RATE
    )
    hits = []
    for clip in clips[:8]:
        for position, span in clip.spans_s.items():
            if clip.tokens.count(clip.tokens[position]) == 1:
                target = ClassTarget(SYMBOLS[clip.tokens[position]], clip.tokens[position])
                peak_s = attribute(classifier, clip.waveform, target, method).peak_s
                hits.append(peak_s is not None and span[0] - HOP_S / 2 <= peak_s <= span[1] + HOP_S / 2)
    assert np.mean(hits) >= (0.9 if method != "gradcam" else 0.2)


def test_either_layout_of_a_layer_gives_the_same_map(model: TinyCtc, clips: list[Clip]) -> None:
    """(B, D, T) of a convolution against the same values as (B, T, D)."""

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.there, self.back = nn.Identity(), nn.Identity()

        def forward(self, waveform: Tensor) -> Tensor:
            frames = self.there(model.features(waveform).transpose(1, 2)).transpose(1, 2)
            return model.classify(self.back(frames))

    turned = Turned().eval()
    waveform = clips[0].waveform
    target = TokenTarget("x", tuple(align(turned(waveform)[0], clips[0].tokens)[:1]))
    for method in ("hirescam", "gradcam"):
        channels_first = Network(turned, turned.there, 2, FrameGrid(HOP_S, 0.0), RATE)
        frames_first = Network(turned, turned.back, 1, FrameGrid(HOP_S, 0.0), RATE)
        first, second = (attribute(n, waveform, target, method) for n in (channels_first, frames_first))
        np.testing.assert_allclose(first.values, second.values, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("place", ["waveform", "layer"])
@pytest.mark.parametrize("baseline", ["noise", "silence"])
def test_integrated_gradients_are_complete(
    network: Network, clips: list[Clip], place: str, baseline: str
) -> None:
    """Their values add up to the score's difference from the baseline, at any level of the clip."""
    for clip in clips[:3]:
        target = TokenTarget("x", (align(network.output(clip.waveform)[0], clip.tokens)[0],))
        found = integrated_gradients(
            network, clip.waveform, target, place=place, baseline=baseline, batch_size=32
        )
        start = torch.zeros_like(clip.waveform)
        if baseline == "noise":
            start = background_noise(clip.waveform, RATE, FLOOR_DB)
        difference = float(target(network.output(clip.waveform)) - target(network.output(start)))
        assert abs(difference) > 1
        assert float(found.values.sum()) == pytest.approx(difference, rel=0.05)
        assert found.residual is not None
        assert found.residual <= 0.05


def test_time_frequency_map_finds_the_tone(network: Network, clips: list[Clip], model: TinyCtc) -> None:
    mel = MelSpectrogram(RATE, n_mels=20, window_ms=40, hop_ms=1000 * HOP_S, f_min_hz=100)
    clip = clips[0]
    position, (start, end) = next(iter(clip.spans_s.items()))
    target = TokenTarget("x", (align(network.output(clip.waveform)[0], clip.tokens)[position],))
    found = integrated_gradients(network, clip.waveform, target, mel=mel, batch_size=32)
    assert found.time_frequency is not None
    assert found.time_frequency.shape == (1 + clip.waveform.shape[1] // mel.hop, 20)
    assert found.time_frequency.sum() == pytest.approx(found.values.sum(), rel=1e-3)
    frame, band = np.unravel_index(found.time_frequency.argmax(), found.time_frequency.shape)
    assert start - HOP_S <= frame * HOP_S <= end + HOP_S
    low, high = sorted(SWEEPS_HZ[SYMBOLS[clip.tokens[position]]])
    edges = mel.get_buffer("edges_hz")
    assert float(edges[band]) <= high
    assert float(edges[band + 2]) >= low


@pytest.mark.parametrize("method", ["hirescam", "gradcam", "occlusion"])
def test_randomised_weights_change_the_map(
    network: Network, model: TinyCtc, clips: list[Clip], method: str
) -> None:
    cases = []
    for clip in clips[:10]:
        found = align(network.output(clip.waveform)[0], clip.tokens)
        cases.append((clip.waveform, TokenTarget("x", (found[0],))))
    # Of one shuffling the maps may resemble those that were learnt: the two small layers leave little to chance.
    trained = [attribute(network, *case, method) for case in cases]
    correlations = []
    for seed in range(5):
        with randomised_weights(model, seed):
            random = [attribute(network, *case, method) for case in cases]
        correlations.append([map_correlation(a, b) for a, b in zip(trained, random, strict=True)])
    assert np.shape(correlations) == (5, 10)
    assert np.mean(correlations) < 0.5


def test_randomising_puts_the_weights_back(model: TinyCtc) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    head = before["head.weight"]

    def stopped() -> None:
        with randomised_weights(model, 1):
            assert not torch.equal(model.head.weight, head)
            assert torch.equal(model.head.weight.flatten().sort()[0], head.flatten().sort()[0])
            raise KeyError("stopped half way")

    with pytest.raises(KeyError, match="half way"):
        stopped()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
