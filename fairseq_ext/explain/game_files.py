"""A recogniser's pointing game as files: a table that the report reads, its figure, and examples.

Files, in RUN/attribution, with NAME = partition-row-seedN: `NAME-wordK.{png,json}`, `NAME-hit_rates.png`, and last
`NAME-hit_rates.json`, whose presence means that the row is complete. Their layout: `extras`; `scores` and `facts`
hold the figures for machines.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

from ..files import write_bytes
from ..report import tables
from ..report.plots import png
from ..scoring.runs import Job, jobs_of_run
from ..scoring.scored_system import RECOGNITION, ScoredSystem, write_json
from ..scoring.trained import Recognizer
from .clip import spectrogram
from .clips import Clip, Word, read_clips
from .explained import Explained
from .game import Game, Settings, play, words_of
from .game_table import Played, system_title, table
from .maps import AttributionMap
from .network import Network
from .plot import NAMES, Label, attribution_rows, hit_rates
from .pointing import is_hit
from .spoken import find_word_times, read_word_times

NUM_EXAMPLES = 1
# Of a picture in the report, which holds several of them: half the bytes, and the eye hardly sees it.
NUM_COLOURS = 256


Load = Callable[[str], tuple[Recognizer, Explained]]


@dataclass(frozen=True)
class Options:
    """How rows are explained.

    Attributes:
        game: methods and tolerance.
        times: files of word times; none = where the corpus puts them.
        split: that is scored.
        dev_split: that chooses the layers.
        max_utterances: of either split.
        device: torch device.
    """

    game: Settings = field(default_factory=Settings)
    times: tuple[Path, ...] = ()
    split: str = "test"
    dev_split: str = "valid"
    max_utterances: int = 16
    device: str = "cpu"


def explain_all(
    jobs: Sequence[Job], load: Load, options: Options, *, corpus: Path | None = None, force: bool = False
) -> Iterator[str]:
    """Plays the game of recognisers one after another; rows that are complete are skipped.

    Args:
        jobs: what to explain; `out` is the folder of the files.
        load: path -> recogniser, made ready; called only when there is something to do.
        options: how.
        corpus: folder where word times may lie.
        force: do it again.

    Yields:
        A line about each, for the terminal.
    """
    if not jobs:
        yield "no finished training of a recogniser found, so nothing is explained"
    for job in tqdm(jobs, desc="attribution", unit="row", disable=None if len(jobs) > 1 else True):
        name = f"{job.system.partition}/{job.system.name} seed {job.system.seed}"
        times = options.times or tuple(find_word_times(job.data, corpus, (options.dev_split, options.split)))
        if (job.out / f"{stem(job.system)}-hit_rates.json").is_file() and not force:
            yield f"{name}: explained before"
        elif not times:
            yield f"{name}: no word times in {job.data} or beside the corpus, so no pointing game; see --times"
        else:
            recognizer, explained = load(str(job.checkpoint))
            game = explain_row(recognizer, explained, job, times, options)
            rate = game.scores[options.game.methods[0]].words
            yield (
                f"{name}: {NAMES[options.game.methods[0]]} {tables.percent(rate.hit_rate.value)}% of "
                f"{rate.num_cases} words, chance {tables.percent(rate.chance)}%"
            )


def recognition_jobs(
    run: Path, data: Literal["real", "synthetic"], command: str, partitions: Sequence[str], *, seed: int
) -> list[Job]:
    """Finds the recognisers of a run.

    Args:
        run: run folder.
        data: origin of the recordings.
        command: command line, for the results.
        partitions: patterns of those that are about recognition, such as `asr`.
        seed: the training that stands for all of them.

    Returns:
        One job per system, whose files go to `RUN/attribution`.
    """
    found = jobs_of_run(run, data, command, partitions)
    return [replace(job, out=run / "attribution") for job in found if job.system.seed == seed]


def stem(system: ScoredSystem) -> str:
    """Name of a row's files.

    Args:
        system: the row.

    Returns:
        Without ending.
    """
    return f"{system.partition.replace('/', '-')}-{system.name}-seed{system.seed}"


def explain_row(
    recognizer: Recognizer, explained: Explained, job: Job, times: Sequence[Path], options: Options
) -> Game:
    """Plays the game of a recogniser and writes its files.

    Args:
        recognizer: the recogniser.
        explained: the same, made ready.
        job: its name, manifests and folder.
        times: files of word times.
        options: how.

    Returns:
        The game.

    Raises:
        ValueError: the splits do not suit it, or the layer would be chosen on the split that is scored.
    """
    if options.split == options.dev_split:
        raise ValueError(
            f"{job.data}/{options.split}: another split to choose the layer on expected, found the one that is scored; "
            "name a development split"
        )
    known = read_word_times(times)
    dev, test = (
        read_clips(
            recognizer, job.data, split, known, max_utterances=options.max_utterances, device=options.device
        )
        for split in (options.dev_split, options.split)
    )
    game = play(explained.model, explained.networks, dev, test, options.game)
    _write_examples(job, next(iter(explained.networks.values())), game, test, options.game)
    scores = {method: score.words for method, score in game.scores.items()}
    path = job.out / f"{stem(job.system)}-hit_rates.json"
    write_bytes(
        path.with_suffix(".png"), png(hit_rates(scores, f"Pointing game, {system_title(job.system)}"))
    )
    played = Played(options.split, options.dev_split, test, options.game.tolerance_s)
    facts = job.system.facts(RECOGNITION, recognizer.cfg, device=options.device)
    write_json(path, {**table(game, job.system, played), "facts": facts})
    return game


def _write_examples(job: Job, network: Network, game: Game, test: Sequence[Clip], settings: Settings) -> None:
    name = stem(job.system)
    for stale in job.out.glob(f"{name}-word*"):
        stale.unlink()
    clips = [clip for clip in test for _ in clip.words]
    for number, (case, why) in enumerate(_examples(game, test, settings), 1):
        maps = [game.maps[method][case] for method in settings.methods]
        clip, word = clips[case], words_of(test)[case]
        path = job.out / f"{name}-word{number}.png"
        write_bytes(path, _fewer_colours(png(_picture(network, clip, word, maps))))
        peaks = "; ".join(_peak(found, word.spoken_s, settings.tolerance_s) for found in maps)
        content = {
            "title": f"Attribution: the word “{word.target.name}”, {system_title(job.system)}",
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
    """Words drawn at random, longer ones since they show more, and a miss of the first method, if there is one."""
    words = words_of(test)
    order = [int(i) for i in np.random.default_rng(0).permutation(len(words))]
    drawn = [i for i in order if words[i].is_heard and len(words[i].target.name) > 3][:NUM_EXAMPLES]
    yield from ((i, "Drawn among the words of 4 letters or more that greedy decoding finds.") for i in drawn)
    first = settings.methods[0]
    missed = [
        i
        for i in order
        if i not in drawn and not is_hit(game.maps[first][i], words[i].spoken_s, settings.tolerance_s)
    ]
    if missed:
        yield missed[0], f"Drawn among the {len(missed)} words of {len(words)} that {NAMES[first]} misses."


def _fewer_colours(content: bytes) -> bytes:
    image = Image.open(io.BytesIO(content)).convert("RGB").quantize(NUM_COLOURS, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
