"""Pointing games of the recognisers of a run as files: a table that the report reads, its figure, and examples.

Files, in RUN/attribution, with NAME = partition-system-seedN: `NAME-wordK.{png,json}`, `NAME-hit_rates.png`, and last
`NAME-hit_rates.json`, whose presence means that the game is complete. Their layout: `report.extras`; `scores` and
`facts` hold the scores as numbers, and the metadata of the system.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from tqdm import tqdm

from ..files import write_bytes
from ..optional import import_optional
from ..report import tables
from ..report.plots import png
from ..scoring.scored_system import RECOGNITION, ScoredSystem, write_json
from ..scoring.trained import Recognizer
from ..scoring.trainings import FinishedTraining, finished_trainings
from .aligned_clips import Clip, Word, read_clips
from .maps import AttributionMap
from .network import Explained, Network
from .plot import NAMES, Label, attribution_rows, hit_rates
from .pointing_game import Game, Settings, play, words_of
from .pointing_game_table import Played, system_title, table
from .pointing_score import is_hit
from .recording import spectrogram
from .word_times import find_word_times, read_word_times

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUM_EXAMPLES = 1
# Colours of a picture: halves the size of the report, with hardly a visible difference.
NUM_COLOURS = 256


Load = Callable[[str], tuple[Recognizer, Explained]]


@dataclass(frozen=True)
class Options:
    """The options of explaining recognisers.

    Attributes:
        game: settings of the game.
        times: files of word times; empty = those that `find_word_times` finds.
        split: split to score.
        dev_split: split to choose the layers on.
        max_utterances: recordings of each split, at most.
        device: torch device.
    """

    game: Settings = field(default_factory=Settings)
    times: tuple[Path, ...] = ()
    split: str = "test"
    dev_split: str = "valid"
    max_utterances: int = 16
    device: str = "cpu"


def explain_all(
    trainings: Sequence[FinishedTraining],
    load: Load,
    options: Options,
    *,
    corpus: Path | None = None,
    force: bool = False,
) -> Iterator[str]:
    """Play the game of recognisers one after another; what is already explained is skipped.

    Args:
        trainings: the recognisers; `out` is the folder of the files.
        load: loads a recogniser from its path; called only when there is something to explain.
        options: options of explaining.
        corpus: folder of the corpus, where word times may lie.
        force: explain again what is already explained.

    Yields:
        A line about each, for the terminal.
    """
    if not trainings:
        yield "no finished training of a recogniser found, so nothing is explained"
    hidden = None if len(trainings) > 1 else True
    for training in tqdm(trainings, desc="attribution", unit="system", disable=hidden):
        name = training.system.title
        times = options.times or tuple(
            find_word_times(training.data, corpus, (options.dev_split, options.split))
        )
        if (training.out / f"{stem(training.system)}-hit_rates.json").is_file() and not force:
            yield f"{name}: already explained"
        elif not times:
            yield f"{name}: no word times in {training.data} or beside the corpus, so no pointing game; see --times"
        else:
            recognizer, explained = load(str(training.checkpoint))
            game = _explain_system(recognizer, explained, training, times, options)
            rate = game.scores[options.game.methods[0]].words
            yield (
                f"{name}: {NAMES[options.game.methods[0]]} {tables.percent(rate.hit_rate.value)}% of "
                f"{rate.num_cases} words, chance {tables.percent(rate.chance)}%"
            )


def finished_recognizers(
    run: Path, data: Literal["real", "synthetic"], command: str, partitions: Sequence[str], *, seed: int
) -> list[FinishedTraining]:
    """Find the finished recognisers of a run with one seed; their results go to `RUN/attribution`."""
    found = finished_trainings(run, data, command, partitions)
    return [replace(item, out=run / "attribution") for item in found if item.system.seed == seed]


def stem(system: ScoredSystem) -> str:
    """Return the common part of the names of a system's files."""
    return f"{system.partition.replace('/', '-')}-{system.name}-seed{system.seed}"


def _explain_system(
    recognizer: Recognizer,
    explained: Explained,
    training: FinishedTraining,
    times: Sequence[Path],
    options: Options,
) -> Game:
    """Play the game of a recogniser and write its files."""
    if options.split == options.dev_split:
        raise ValueError(
            f"{training.data}/{options.split}: the layer cannot be chosen on the split that is scored; name a "
            "development split"
        )
    known = read_word_times(times)
    dev, test = (
        read_clips(
            recognizer,
            training.data,
            split,
            known,
            max_utterances=options.max_utterances,
            device=options.device,
        )
        for split in (options.dev_split, options.split)
    )
    game = play(explained.model, explained.networks, dev, test, options.game)
    _write_examples(training, next(iter(explained.networks.values())), game, test, options.game)
    scores = {method: score.words for method, score in game.scores.items()}
    path = training.out / f"{stem(training.system)}-hit_rates.json"
    write_bytes(
        path.with_suffix(".png"), png(hit_rates(scores, f"Pointing game, {system_title(training.system)}"))
    )
    played = Played(options.split, options.dev_split, test, options.game.tolerance_s)
    facts = training.system.metadata(RECOGNITION, recognizer.cfg, device=options.device)
    write_json(path, {**table(game, training.system, played), "facts": facts})
    return game


def _write_examples(
    training: FinishedTraining, network: Network, game: Game, test: Sequence[Clip], settings: Settings
) -> None:
    name = stem(training.system)
    # An earlier game may have had more examples.
    for stale in training.out.glob(f"{name}-word*"):
        stale.unlink()
    clips = [clip for clip in test for _ in clip.words]
    for number, (case, why) in enumerate(_examples(game, test, settings), 1):
        maps = [game.maps[method][case] for method in settings.methods]
        clip, word = clips[case], words_of(test)[case]
        path = training.out / f"{name}-word{number}.png"
        write_bytes(path, fewer_colours(png(_picture(network, clip, word, maps))))
        peaks = "; ".join(_peak(found, word.spoken_s, settings.tolerance_s) for found in maps)
        content = {
            "title": f"Attribution: the word “{word.target.name}”, {system_title(training.system)}",
            "caption": f"Recording {clip.id}. {why}",
            "description": f"Maps over the log-mel of “{clip.transcript}”: {peaks}.",
        }
        write_json(path.with_suffix(".json"), content)


def _picture(network: Network, clip: Clip, word: Word, maps: Sequence[AttributionMap]) -> Figure:
    return attribution_rows(
        spectrogram(clip.waveform, network.sample_rate_hz),
        maps,
        title=f"“{word.target.name}” of “{clip.transcript}”",
        aligned=_letters(clip, network),
        spoken=[Label(w.target.name, *w.spoken_s) for w in clip.words],
        true_span_s=word.spoken_s,
    )


def _peak(found: AttributionMap, span_s: tuple[float, float], tolerance_s: float) -> str:
    where = "inside" if is_hit(found, span_s, tolerance_s) else "outside"
    return f"{NAMES[found.method]} peaks {where} the word"


def _letters(clip: Clip, network: Network) -> list[Label]:
    return [
        Label(letter, *network.grid.span_s(span.start, span.end))
        for word in clip.words
        for letter, span in zip(word.aligned.letters, word.aligned.spans, strict=True)
    ]


def _examples(game: Game, test: Sequence[Clip], settings: Settings) -> Iterator[tuple[int, str]]:
    """Draw words of 4 letters or more, which show more, and a miss of the first method, if there is one."""
    words = words_of(test)
    order = [int(i) for i in np.random.default_rng(0).permutation(len(words))]
    drawn = [i for i in order if words[i].is_recognised and len(words[i].target.name) > 3][:NUM_EXAMPLES]
    yield from ((i, "Drawn among the words of 4 letters or more that greedy decoding finds.") for i in drawn)
    first = settings.methods[0]
    missed = [
        i
        for i in order
        if i not in drawn and not is_hit(game.maps[first][i], words[i].spoken_s, settings.tolerance_s)
    ]
    if missed:
        yield missed[0], f"Drawn among the {len(missed)} words of {len(words)} that {NAMES[first]} misses."


def fewer_colours(content: bytes) -> bytes:
    """Return a PNG with `NUM_COLOURS` colours."""
    pillow = import_optional("PIL.Image")
    # Without dithering, whose noise compresses badly.
    image = pillow.open(io.BytesIO(content)).convert("RGB").quantize(NUM_COLOURS, dither=pillow.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
