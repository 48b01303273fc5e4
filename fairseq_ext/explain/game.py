"""The pointing game of a recogniser: the layer chosen on one split, the methods scored on another, weights randomised.

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
from .cam import CAMS, cams
from .clips import Clip, Word
from .integrated import IncompleteError
from .maps import AttributionMap
from .methods import DEFAULT_METHOD, attribute, attribute_each
from .network import Network
from .pointing import PointingScore, pointing_game
from .sanity import map_correlation, randomised_weights

# The middle of the aligned frames: how far the alignment alone gets, without any attribution.
ALIGNMENT = "alignment"
SEED = 1


@dataclass(frozen=True)
class Settings:
    """How the game is played.

    Attributes:
        methods: keys of `METHODS`.
        tolerance_s: widens each true span at either side, s.
        max_randomised: clips whose maps are made again with randomised weights, at most; one word of each.
    """

    methods: tuple[str, ...] = (DEFAULT_METHOD, "gradcam", "occlusion")
    tolerance_s: float = 0.02
    max_randomised: int = 8


@dataclass(frozen=True)
class MethodScore:
    """What a method did on the test split.

    Attributes:
        layer: where its maps were made; empty for methods that need none.
        words: of all words.
        heard: of those that greedy decoding finds; None without any.
        randomised: rank correlation with the maps of randomised weights; None = not measured.
    """

    layer: str
    words: PointingScore
    heard: PointingScore | None
    randomised: Interval | None = None


@dataclass(frozen=True)
class Game:
    """A played game.

    Attributes:
        scores: method -> score; `ALIGNMENT` last.
        dev: method -> layer -> hit rate on the split that chose the layer.
        maps: method -> N maps of the test split's words, clip after clip.
        num_dev: words that chose the layer.
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
    """Plays the game: dev chooses each method's layer, test is looked at once.

    Args:
        model: whose weights are randomised.
        networks: layer -> the network looked at there, early layers first.
        dev: clips of the development split.
        test: clips of other speakers or sentences.
        settings: how.

    Returns:
        The scores.

    Raises:
        ValueError: no words in either split, or what a method refuses.
    """
    first = next(iter(networks))
    with _frozen(model):
        at_layer = [method for method in settings.methods if method in CAMS]
        rates = _layer_rates(networks, dev, at_layer, settings.tolerance_s) if at_layer else {}
        layers = {method: max(of_layer, key=of_layer.__getitem__) for method, of_layer in rates.items()}
        maps = {m: explain(networks[layers.get(m, first)], test, m) for m in settings.methods}
        chosen = {m: networks[layers.get(m, first)] for m in settings.methods}
        random = (
            randomise(model, chosen, test[: settings.max_randomised], maps) if settings.max_randomised else {}
        )
    scores = {m: _score(layers.get(m, ""), maps[m], test, settings, random.get(m)) for m in maps}
    pointed = alignment_maps(networks[first], test)
    scores[ALIGNMENT] = _score("", pointed, test, settings, None)
    return Game(scores, rates, maps, sum(len(clip.words) for clip in dev))


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """No gradients of the weights: they would be computed for nothing."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        model.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def explain(network: Network, clips: Sequence[Clip], method: str) -> list[AttributionMap]:
    """Explains every word of clips.

    Args:
        network: the network and its layer.
        clips: the clips.
        method: a key of `METHODS`.

    Returns:
        N maps, clip after clip.
    """
    maps = []
    for clip in tqdm(clips, method, unit="clip", leave=False, disable=None):
        maps += _explain_clip(network, clip, method)
    return maps


def _explain_clip(network: Network, clip: Clip, method: str) -> list[AttributionMap]:
    """A word whose integrated gradients do not add up has a flat map, which counts as a miss."""
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
    """Method -> layer -> hit rate; of equal ones `max` takes the first, which is the earliest."""
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
    heard = [word.is_heard for word in words_of(clips)]
    of_heard = _pointing(maps, clips, settings.tolerance_s, heard) if any(heard) else None
    return MethodScore(layer, everything, of_heard, randomised)


def words_of(clips: Sequence[Clip]) -> list[Word]:
    """Lists the words of clips.

    Args:
        clips: the clips.

    Returns:
        N words, clip after clip.
    """
    return [word for clip in clips for word in clip.words]


def _pointing(
    maps: Sequence[AttributionMap],
    clips: Sequence[Clip],
    tolerance_s: float,
    chosen: Sequence[bool] | None = None,
) -> PointingScore:
    """Intervals are over speakers."""
    words, speakers = words_of(clips), [clip.speaker for clip in clips for _ in clip.words]
    rows = [i for i in range(len(words)) if chosen is None or chosen[i]]
    return pointing_game(
        [maps[i] for i in rows],
        [words[i].spoken_s for i in rows],
        tolerance_s=tolerance_s,
        seed=SEED,
        groups=[speakers[i] for i in rows],
    )


def randomise(
    model: nn.Module,
    networks: Mapping[str, Network],
    clips: Sequence[Clip],
    maps: Mapping[str, Sequence[AttributionMap]],
) -> dict[str, Interval]:
    """Compares maps with those of randomised weights, of the middle word of each clip.

    Args:
        model: whose weights are shuffled.
        networks: method -> the network, at the method's layer.
        clips: the first of those that `maps` are of.
        maps: method -> maps of all words, made with the trained weights.

    Returns:
        Method -> mean rank correlation, with an interval over clips. Without integrated gradients, which need not
        add up on random weights.
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


def alignment_maps(network: Network, clips: Sequence[Clip]) -> list[AttributionMap]:
    """Maps that know the alignment and nothing else: even over a word's aligned frames, their middle a little higher.

    Args:
        network: whose frames the clips are aligned to.
        clips: the clips.

    Returns:
        N maps.
    """
    return [
        _alignment_map(network, word, clip.waveform.shape[1] / network.sample_rate_hz)
        for clip in clips
        for word in clip.words
    ]


def _alignment_map(network: Network, word: Word, duration_s: float) -> AttributionMap:
    start, end = word.aligned.spans[0].start, word.aligned.spans[-1].end
    values = np.zeros(max(end, network.grid.num_frames(duration_s)), dtype=np.float32)
    values[start:end] = 1.0
    values[(start + end - 1) // 2] = 1.001
    return AttributionMap(ALIGNMENT, word.target.name, values, network.grid)
