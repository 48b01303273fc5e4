"""A recogniser's pointing game as a table of the report: cells, and a note that explains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..report import tables
from ..scoring.scored_system import ScoredSystem
from .aligned_clips import Clip
from .methods import DEFAULT_METHOD
from .plot import NAMES
from .pointing_game import ALIGNMENT, Game, MethodScore

# Requirements on the default method: least hit rate, largest correlation with maps of randomised weights.
BAR, MAX_CORRELATION = 0.95, 0.5
HEADER = (
    *("Method", "Layer", "Hits %", "95 % interval", "Map inside %"),
    *("Hits %, words heard", "Randomised weights"),
)


@dataclass(frozen=True)
class Played:
    """The data of a game.

    Attributes:
        split: scored split.
        dev_split: split that the layers were chosen on.
        clips: clips of `split`.
        tolerance_s: widening of the true spans at either side, s.
    """

    split: str
    dev_split: str
    clips: Sequence[Clip]
    tolerance_s: float

    @property
    def size(self) -> str:
        """The numbers of words, recordings and speakers, as text."""
        num_words = sum(len(clip.words) for clip in self.clips)
        num_speakers = len({clip.speaker for clip in self.clips})
        return f"{num_words} words of {len(self.clips)} recordings of {self.split} by {num_speakers} speakers"


def system_title(system: ScoredSystem) -> str:
    """Return the title of a system, such as `ctc pretrained, asr, seed 1`."""
    return f"{system.name.replace('_', ' ')}, {system.partition}, seed {system.seed}"


def table(game: Game, system: ScoredSystem, played: Played) -> dict[str, Any]:
    """Convert a game to what `report.extras` reads for a table and its picture, and the scores as numbers."""
    return {
        "title": f"Attribution: pointing game, {system_title(system)}",
        "header": list(HEADER),
        "rows": [_cells(method, score) for method, score in game.scores.items()],
        "note": " ".join(
            [*_about_hits(game, played), *_about_layers(game, played), *_about_bar(game.scores)]
        ),
        "caption": f"{played.size}.",
        "description": "Bars of each method's hit rate with intervals; the table above holds the same figures.",
        "scores": {method: asdict(score) for method, score in game.scores.items()},
        "dev": game.dev,
    }


def _cells(method: str, score: MethodScore) -> list[str]:
    words, random = score.words, score.randomised
    return [
        NAMES.get(method, method),
        score.layer or tables.NOTHING,
        tables.percent(words.hit_rate.value),
        tables.interval(asdict(words.hit_rate)),
        tables.percent(words.mass_inside.value),
        tables.percent(score.heard.hit_rate.value) if score.heard else tables.NOTHING,
        f"{random.value:.2f}" if random else tables.NOTHING,
    ]


def _about_hits(game: Game, played: Played) -> list[str]:
    alone = game.scores[ALIGNMENT]
    num_recognised = alone.heard.num_cases if alone.heard else 0
    return [
        f"A hit: the word's map peaks where the word was spoken, {1000 * played.tolerance_s:g} ms of tolerance at "
        f"either side; {played.size}, over whom the intervals are.",
        f"Chance: {tables.percent(alone.words.chance)} %.",
        f"Greedy decoding finds {num_recognised} of the words.",
        *(
            f"{NAMES[method]} finds nothing for {score.words.num_flat} of the words, which count as missed."
            for method, score in game.scores.items()
            if score.words.num_flat
        ),
        f"{NAMES[ALIGNMENT]}: the middle of the word's aligned frames, without any attribution.",
    ]


def _about_layers(game: Game, played: Played) -> list[str]:
    if not game.dev:
        return []
    chosen = "; ".join(
        f"{NAMES[method]} " + ", ".join(f"{layer} {tables.percent(rate)}" for layer, rate in rates.items())
        for method, rates in game.dev.items()
    )
    return [f"Layers were chosen on {played.dev_split} ({game.num_dev} words), hits % there: {chosen}."]


def _about_bar(scores: Mapping[str, MethodScore]) -> list[str]:
    notes = [
        "Randomised weights: mean rank correlation with the map of the same network with shuffled weights."
    ]
    if DEFAULT_METHOD not in scores:
        return notes
    score, name = scores[DEFAULT_METHOD], NAMES[DEFAULT_METHOD]
    reached = "reached" if score.words.hit_rate.value >= BAR else "not reached"
    notes.append(f"Required of {name}, the default: {tables.percent(BAR)} % hits, {reached};")
    if score.randomised is None:
        return notes
    reached = "reached" if score.randomised.value <= MAX_CORRELATION else "not reached"
    return [*notes, f"a correlation of {MAX_CORRELATION:g} at most, {reached}."]
