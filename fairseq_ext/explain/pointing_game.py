"""The pointing game of a recogniser: layers chosen on one split, methods scored on another, weights randomised.

Legend: N words, T frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from torch import nn
from tqdm import tqdm

from ..text.scoring import Interval, bootstrap_interval
from .aligned_clips import Clip, Word
from .cam import CAMS, cams
from .integrated import IncompleteError
from .maps import AttributionMap
from .methods import DEFAULT_METHOD, attribute, attribute_each
from .network import Network
from .pointing_score import PointingScore, pointing_game
from .sanity import map_correlation, randomised_weights

# The baseline without attribution: the middle of a word's aligned frames.
ALIGNMENT = "alignment"
SEED = 1


@dataclass(frozen=True)
class Settings:
    """The settings of the game.

    Attributes:
        methods: keys of `METHODS`.
        tolerance_s: widening of each true span at either side, s.
        max_randomised: clips whose maps are computed again with randomised weights, at most; one word of each.
    """

    methods: tuple[str, ...] = (DEFAULT_METHOD, "gradcam", "occlusion")
    tolerance_s: float = 0.02
    max_randomised: int = 8


@dataclass(frozen=True)
class MethodScore:
    """The scores of a method on the test split.

    Attributes:
        layer: layer of the maps; empty for methods without one.
        words: score over all words.
        heard: score over the words that greedy decoding finds; None without any.
        randomised: mean rank correlation with the maps of randomised weights; None = not measured.
    """

    layer: str
    words: PointingScore
    heard: PointingScore | None
    randomised: Interval | None = None


@dataclass(frozen=True)
class Game:
    """The result of a game.

    Attributes:
        scores: method -> score; `ALIGNMENT` last.
        dev: method -> layer -> hit rate on the development split.
        maps: method -> N maps of the words of the test split, clip after clip.
        num_dev: number of words of the development split.
    """

    scores: dict[str, MethodScore]
    dev: dict[str, dict[str, float]]
    maps: dict[str, list[AttributionMap]] = field(repr=False)
    num_dev: int = 0


def play(
    model: nn.Module,
    networks: Mapping[str, Network],
    dev: Sequence[Clip],
    test: Sequence[Clip],
    settings: Settings,
) -> Game:
    """Play the game: choose each method's layer on the development split, then score the test split once.

    Args:
        model: module whose weights are randomised.
        networks: layer -> network with that layer, early layers first.
        dev: clips of the development split.
        test: clips of other speakers or sentences.
        settings: settings of the game.

    Raises:
        ValueError: a split has no words, or a method cannot explain them.
    """
    first = next(iter(networks))
    with _frozen(model):
        at_layer = [method for method in settings.methods if method in CAMS]
        rates = _layer_rates(networks, dev, at_layer, settings.tolerance_s) if at_layer else {}
        layers = {method: max(of_layer, key=of_layer.__getitem__) for method, of_layer in rates.items()}
        maps = {m: explain(networks[layers.get(m, first)], test, m) for m in settings.methods}
        chosen = {m: networks[layers.get(m, first)] for m in settings.methods}
        random = (
            _randomise(model, chosen, test[: settings.max_randomised], maps)
            if settings.max_randomised
            else {}
        )
    scores = {m: _score(layers.get(m, ""), maps[m], test, settings, random.get(m)) for m in maps}
    pointed = _alignment_maps(networks[first], test)
    scores[ALIGNMENT] = _score("", pointed, test, settings, None)
    return Game(scores, rates, maps, sum(len(clip.words) for clip in dev))


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Switch off the gradients of the weights, which are not needed."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        model.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def explain(network: Network, clips: Sequence[Clip], method: str) -> list[AttributionMap]:
    """Explain every word of clips by a method; N maps, clip after clip."""
    maps = []
    for clip in tqdm(clips, method, unit="clip", leave=False, disable=None):
        maps += _explain_clip(network, clip, method)
    return maps


def _explain_clip(network: Network, clip: Clip, method: str) -> list[AttributionMap]:
    """Explain the words of a clip; where integrated gradients are incomplete the map is flat, a miss."""
    targets = [word.target for word in clip.words]
    if method != "integrated_gradients":
        return attribute_each(network, clip.waveform, targets, method)
    maps = []
    for target in targets:
        try:
            maps.append(attribute(network, clip.waveform, target, method))
        except IncompleteError:
            maps.append(AttributionMap(method, target.name, np.zeros(1, dtype=np.float32), network.grid))
    return maps


def _layer_rates(
    networks: Mapping[str, Network], clips: Sequence[Clip], methods: Sequence[str], tolerance_s: float
) -> dict[str, dict[str, float]]:
    """Return method -> layer -> hit rate; of equal rates `max` takes the earliest layer."""
    rates: dict[str, dict[str, float]] = {method: {} for method in methods}
    for layer, network in networks.items():
        maps: dict[str, list[AttributionMap]] = {method: [] for method in methods}
        for clip in tqdm(clips, f"choose the layer: {layer}", unit="clip", leave=False, disable=None):
            made = cams(network, clip.waveform, [word.target for word in clip.words], methods)
            for method in methods:
                maps[method] += made[method]
        for method in methods:
            rates[method][layer] = _pointing(maps[method], clips, tolerance_s).hit_rate.value
    return rates


def _score(
    layer: str,
    maps: Sequence[AttributionMap],
    clips: Sequence[Clip],
    settings: Settings,
    randomised: Interval | None,
) -> MethodScore:
    everything = _pointing(maps, clips, settings.tolerance_s)
    recognised = [word.is_recognised for word in words_of(clips)]
    of_recognised = _pointing(maps, clips, settings.tolerance_s, recognised) if any(recognised) else None
    return MethodScore(layer, everything, of_recognised, randomised)


def words_of(clips: Sequence[Clip]) -> list[Word]:
    """List the N words of clips, clip after clip."""
    return [word for clip in clips for word in clip.words]


def _pointing(
    maps: Sequence[AttributionMap],
    clips: Sequence[Clip],
    tolerance_s: float,
    chosen: Sequence[bool] | None = None,
) -> PointingScore:
    """Score the chosen words; intervals are over speakers."""
    words, speakers = words_of(clips), [clip.speaker for clip in clips for _ in clip.words]
    rows = [i for i in range(len(words)) if chosen is None or chosen[i]]
    return pointing_game(
        [maps[i] for i in rows],
        [words[i].spoken_s for i in rows],
        tolerance_s=tolerance_s,
        seed=SEED,
        groups=[speakers[i] for i in rows],
    )


def _randomise(
    model: nn.Module,
    networks: Mapping[str, Network],
    clips: Sequence[Clip],
    maps: Mapping[str, Sequence[AttributionMap]],
) -> dict[str, Interval]:
    """Compare maps of the middle word of each of the first clips with those of randomised weights.

    Returns:
        Method -> mean rank correlation with an interval over clips; without integrated gradients, which may be
        incomplete on random weights.
    """
    middle = [len(clip.words) // 2 for clip in clips]
    before = np.cumsum([0, *(len(clip.words) for clip in clips[:-1])])
    found = {}
    with randomised_weights(model, SEED):
        for method in (m for m in networks if m != "integrated_gradients"):
            values = []
            for clip, start, word in zip(clips, before, middle, strict=True):
                targets = [clip.words[word].target]
                random = attribute_each(networks[method], clip.waveform, targets, method)[0]
                values.append(map_correlation(maps[method][start + word], random))
            found[method] = _mean(np.array(values))
    return found


def _mean(values: np.ndarray) -> Interval:
    return bootstrap_interval(lambda i: float(values[i].mean()), len(values), seed=SEED)


def _alignment_maps(network: Network, clips: Sequence[Clip]) -> list[AttributionMap]:
    """Make maps from the alignment alone: constant over a word's aligned frames, slightly higher in the middle."""
    return [
        _alignment_map(network, word, clip.waveform.shape[1] / network.sample_rate_hz)
        for clip in clips
        for word in clip.words
    ]


def _alignment_map(network: Network, word: Word, duration_s: float) -> AttributionMap:
    start, end = word.aligned.spans[0].start, word.aligned.spans[-1].end
    # max: a network may have a frame or two more than its grid
    values = np.zeros(max(end, network.grid.num_frames(duration_s)), dtype=np.float32)
    values[start:end] = 1.0
    values[(start + end - 1) // 2] = 1.001  # the peak; too little to change the share inside
    return AttributionMap(ALIGNMENT, word.target.name, values, network.grid)
