"""Transcribe many files: unreadable ones are reported, and every output is written whole or not at all."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..decoding.arpa import read_arpa
from ..decoding.ctc import BeamConfig, BeamSearch
from ..decoding.lm_weights import USUAL_WEIGHTS, LmWeights, read_lm_weights
from ..decoding.subtitles import TimedWord, to_json, to_srt, to_text
from ..media.audio import AudioError
from ..media.stretches import Stretches, describe_level
from .recognizer import CtcRecognizer

# format -> (suffix of its files, writer)
FORMATS: dict[str, tuple[str, Callable[[Sequence[TimedWord]], str]]] = {
    "text": (".txt", to_text),
    "json": (".json", to_json),
    "srt": (".srt", to_srt),
}


@dataclass(frozen=True)
class Transcription:
    """The words of a file with their times; None when it could not be read.

    `problem` is why not, or what is there instead of words.
    """

    path: Path
    words: list[TimedWord] | None
    problem: str = ""


def choose_weights(
    checkpoint: Path,
    lm: Path,
    alpha: float | None = None,
    beta: float | None = None,
    unk_score: float | None = None,
) -> LmWeights:
    """Choose the weights of a language model, an ARPA file, with a recogniser.

    A weight (`alpha`), reward per word (`beta`) or score per unknown word that is None is the one that evaluation
    chose for these two, else the usual one.

    Raises:
        ValueError: for a damaged lm_weights.json.
    """
    chosen = read_lm_weights(checkpoint, lm) or USUAL_WEIGHTS
    given: dict[str, Any] = {"alpha": alpha, "beta": beta, "unk_score": unk_score}
    return replace(chosen, **{name: value for name, value in given.items() if value is not None})


def make_search(
    recognizer: CtcRecognizer,
    *,
    beam_size: int = 0,
    lm: Path | None = None,
    weights: LmWeights = USUAL_WEIGHTS,
) -> BeamSearch | None:
    """Return the search to decode with, over an n-gram model of words, an ARPA file; None = greedy.

    `beam_size` 0 keeps as many hypotheses as usual with a language model, and is greedy without one.

    Raises:
        FileNotFoundError: no such language model.
        ValueError: for a damaged one, or other settings.
    """
    if not beam_size and lm is None:
        return None
    if lm is not None and not lm.is_file():
        raise FileNotFoundError(f"{lm}: no such language model; give an ARPA file")
    config = BeamConfig(beam_size=beam_size or BeamConfig().beam_size, **asdict(weights))
    return BeamSearch(recognizer.symbols, config, None if lm is None else read_arpa(lm))


def output_paths(
    files: Sequence[Path], folder: Path, suffix: str, names: Sequence[Path] | None = None
) -> list[Path]:
    """Name the outputs after the recordings: a path in the folder with the suffix, such as ".srt", for each.

    `names` are what the recordings are called there, such as their paths within a folder; None = their file names.

    Raises:
        ValueError: the folder is a file, two recordings would share an output, or one would be overwritten.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, not a folder for the outputs; choose another")
    found: dict[Path, Path] = {}
    for file, name in zip(files, names or [Path(file.name) for file in files], strict=True):
        path = folder / name.parent / (file.stem + suffix)
        if path in found:
            raise ValueError(
                f"{path}: the output of both {found[path]} and {file}; write them into different folders"
            )
        if path.resolve() == file.resolve():
            raise ValueError(f"{file}: its output would overwrite it; choose another folder")
        found[path] = file
    return list(found)


def transcribe_files(
    recognizer: CtcRecognizer,
    files: Sequence[Path],
    search: BeamSearch | None = None,
    *,
    window_s: float | None = None,
    overlap_s: float | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Iterator[Transcription]:
    """Yield a result per recording, in order; one that cannot be read does not stop the others.

    For `search` and windows see `CtcRecognizer.timed_words`. `on_progress` is called with the number of recordings that
    are done, the present one by its share.
    """
    for index, path in enumerate(files):

        def report(share: float, index: int = index) -> None:  # bound here: the loop changes `index`
            if on_progress is not None:
                on_progress(index + share)

        try:
            words = recognizer.timed_words(
                path, search, window_s=window_s, overlap_s=overlap_s, on_progress=report
            )
        except (AudioError, OSError) as error:
            report(1.0)
            yield Transcription(path, None, str(error))
        else:
            yield Transcription(path, words, "" if words else _no_words(path, recognizer.sample_rate_hz))


def _no_words(path: Path, sample_rate_hz: int) -> str:
    samples = Stretches(path, sample_rate_hz)
    return f"{path}: no words in {len(samples) / sample_rate_hz:.1f} s of {describe_level(samples, sample_rate_hz)}"
