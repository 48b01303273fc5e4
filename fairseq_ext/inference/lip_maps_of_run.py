"""Where the lip readers of a run look, as files that the report shows: a table of shares on the lips, and pictures.

Files, in RUN/attribution, with NAME = partition-system-seedN: `NAME-lipsK.{png,json}` and last `NAME-lips.json`, whose
presence means that all are there. Their layout: `report.extras`; `scores` holds the table's figures as numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..data.av_rows import first_frame
from ..decoding.alignment import align, aligned_words
from ..explain.aligned_clips import in_turn
from ..explain.lips.game import LipCase, LipScore, score_maps
from ..explain.lips.mouth import lips_mask
from ..explain.plot import NAMES
from ..explain.pointing_game_files import fewer_colours, stem
from ..explain.pointing_game_table import system_title
from ..explain.targets import TokenTarget
from ..files import write_bytes
from ..line_index import AudioEntry
from ..manifest import Utterance, read_labels
from ..media.audio import AudioError
from ..media.video import VideoError
from ..report import tables
from ..report.plots import png
from ..scoring.recognition.acoustics import read_speech
from ..scoring.scored_system import write_json
from ..scoring.trainings import FinishedTraining
from .lip_explained import explain_clip, explained_lips, strip_of
from .lip_reader import LipReader, load_lip_reader
from .mouth_clip import MouthClip, file_of_row

HEADER = ("Method", "On the lips %", "Lips' area %", "Shuffled weights %", "Rank correlation", "Words")
NUM_EXAMPLES = 2
WORDS_PER_CLIP = 2


@dataclass(frozen=True)
class _Clip:
    """A clip of the split with the places of its words."""

    utterance: Utterance
    mouth: MouthClip
    lips: Any  # (T, H, W) bool
    words: tuple[tuple[int, TokenTarget], ...]  # drawn ones, with their numbers from 1


def explain_lip_readers(
    trainings: Sequence[FinishedTraining],
    methods: Sequence[str],
    *,
    split: str = "test",
    max_utterances: int = 16,
    device: str = "cpu",
    force: bool = False,
) -> Iterator[str]:
    """Explain words of lip readers one after another; what is already explained is skipped.

    Args:
        trainings: the lip readers; `out` is the folder of the files.
        methods: keys of `explain.lips.saliency.METHODS`.
        split: split of the clips.
        max_utterances: clips at most, from the speakers in turn; `WORDS_PER_CLIP` words of each are drawn.

    Yields:
        A line about each, for the terminal.

    Raises:
        ValueError: none of the clips can be read and aligned.
    """
    for training in tqdm(trainings, desc="attribution", unit="system", disable=None):
        name, path = training.system.title, training.out / f"{stem(training.system)}-lips.json"
        if path.is_file() and not force:
            yield f"{name}: already explained"
            continue
        reader = load_lip_reader(training.checkpoint, device)
        if reader.modality == "audio":
            yield f"{name}: it reads sound alone, so there are no pictures to explain"
            continue
        clips, problems = _read(reader, training.data, split, max_utterances)
        yield from (f"{name}: left out: {problem}" for problem in problems)
        if not clips:
            raise ValueError(
                f"{training.data}/{split}: none of {len(problems)} clips can be explained, see above; prepare the "
                "clips again"
            )
        scores = score_maps(_cases(reader, clips), methods)
        _write_examples(reader, training, clips, methods)
        write_json(path, _table(training, scores, split, len(clips), len(problems)))
        first = scores[methods[0]]
        yield (
            f"{name}: {NAMES[methods[0]]} {tables.percent(first.inside)} % on the lips, "
            f"{tables.percent(first.shuffled)} % with shuffled weights, {tables.percent(first.area)} % of the area"
        )


def _read(reader: LipReader, data: Path, split: str, at_most: int) -> tuple[list[_Clip], list[str]]:
    """Return clips with their words, and why others were left out."""
    speech = read_speech(data, split)
    units = list(read_labels(data, split, str(reader.cfg.task.labels)))
    clips, problems = list[_Clip](), list[str]()
    for row in in_turn(speech.utterances, range(len(units)))[:at_most]:
        utterance = speech.utterances[row]
        try:
            clips.append(_clip(reader, utterance, speech.entries[row], units[row].split()))
        except (VideoError, AudioError, OSError, ValueError) as error:
            problems.append(f"{utterance.id}: {error}")
    return clips, problems


def _clip(reader: LipReader, utterance: Utterance, entry: AudioEntry, units: Sequence[str]) -> _Clip:
    mouth = reader.read_row(entry)
    first = first_frame(entry.start_sample)
    lips = lips_mask(file_of_row(entry.path, "landmarks", ".npz"), reader.crop_px)
    lips = lips[first : first + mouth.num_frames]
    network, pictures = explained_lips(reader, mouth)
    numbers = {symbol: i for i, symbol in enumerate(reader.symbols)}
    if unknown := [unit for unit in units if unit not in numbers]:
        raise ValueError(f"the reader has no symbol {unknown[0]!r}; give manifests of its corpus")
    words = aligned_words(
        align(network.output(pictures)[0], [numbers[unit] for unit in units]), reader.symbols
    )
    # By the clip's name: the same words for all readers.
    seed = [*utterance.id.encode()]
    drawn = sorted(np.random.default_rng(seed).permutation(len(words))[:WORDS_PER_CLIP].tolist())
    targets = tuple((i + 1, TokenTarget(words[i].text, words[i].spans)) for i in drawn)
    return _Clip(utterance, mouth, lips, targets)


def _cases(reader: LipReader, clips: Sequence[_Clip]) -> Iterator[LipCase]:
    for clip in tqdm(clips, "maps", unit="clip", leave=False, disable=None):
        network, pictures = explained_lips(reader, clip.mouth)
        for _, target in clip.words:
            yield LipCase(network, pictures, target, clip.lips)


def _write_examples(
    reader: LipReader, training: FinishedTraining, clips: Sequence[_Clip], methods: Sequence[str]
) -> None:
    name = stem(training.system)
    for stale in training.out.glob(f"{name}-lips?*"):
        stale.unlink()
    for number, clip in enumerate(clips[:NUM_EXAMPLES], 1):
        (position, target), *_ = clip.words
        text = clip.utterance.transcript
        found = explain_clip(reader, clip.mouth, f"word:{position}", methods, text=text, lips=clip.lips)
        path = training.out / f"{name}-lips{number}.png"
        write_bytes(path, fewer_colours(png(strip_of(reader, clip.mouth, found, is_read=False))))
        lines = "; ".join(
            f"{NAMES[one.method]} {line}" for one, line in zip(found.maps, found.lines, strict=True)
        )
        content = {
            "title": f"Lips: the word “{target.name}”, {system_title(training.system)}",
            "caption": f"Clip {clip.utterance.id}: “{text}”. Frames of the word have a blue edge.",
            "description": f"Maps over the mouth in frames around the word: {lines}.".replace("\n", " "),
        }
        write_json(path.with_suffix(".json"), content)


def _table(
    training: FinishedTraining, scores: dict[str, LipScore], split: str, num_clips: int, num_left_out: int
) -> dict[str, Any]:
    about = [
        f"Clips of {split}: {num_clips}, {WORDS_PER_CLIP} words of each; left out: {num_left_out}.",
        "On the lips: share of the map within the outlines of the lips. Lips' area: what a map without a place would "
        "have. Shuffled weights: share on the lips, and mean rank correlation with the map, of the same network with "
        "shuffled weights.",
        *(
            f"{NAMES[method]}: nothing supports {score.num_flat} of the words, which are left out."
            for method, score in scores.items()
            if score.num_flat
        ),
    ]
    return {
        "title": f"Attribution: maps on the lips, {system_title(training.system)}",
        "header": list(HEADER),
        "rows": [_cells(method, score) for method, score in scores.items()],
        "note": " ".join(about),
        "scores": {method: asdict(score) for method, score in scores.items()},
    }


def _cells(method: str, score: LipScore) -> list[str]:
    shares = (score.inside, score.area, score.shuffled)
    return [
        NAMES[method],
        *map(tables.percent, shares),
        f"{score.correlation:.2f}",
        f"{score.num_above} of {score.num_words} above shuffled",
    ]
