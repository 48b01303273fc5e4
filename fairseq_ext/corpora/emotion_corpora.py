"""Corpora of emotional speech in one shape, whatever their layout; which one a folder holds is told by its content."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from ..manifest import Utterance
from ..splits import Key
from ..text.published import Report
from . import crema_d, iemocap, ravdess
from .labelled_corpus import LabelledCorpus
from .measured import Measure


class EmotionReader(Protocol):
    """What a module that reads a corpus of emotional speech has; see `corpora/__init__.py` for the contract."""

    def recordings_folder(self, root: str | os.PathLike[str]) -> Path:
        """Return the folder that paths are relative to; raise FileNotFoundError where the layout is another."""

    def read(
        self,
        root: str | os.PathLike[str],
        *,
        measure: Measure,
        sample_rate_hz: int,
        on_problem: Report | None = None,
    ) -> Iterator[Utterance]:
        """Read the corpus.

        Args:
            measure: decodes a recording, see `measured.measured`.
            sample_rate_hz: sample rate to count samples at, Hz.
            on_problem: receives a line for what is skipped, and where counts are not the published ones; by default it
                is logged as a warning.
        """

    def streams(self, root: str | os.PathLike[str]) -> Mapping[str, Key]:
        """Return label stream -> an utterance's line of it, beside emotion, gender and speaker."""


READERS: Mapping[str, EmotionReader] = {"ravdess": ravdess, "crema_d": crema_d, "iemocap": iemocap}
OTHER = "other"  # a folder per class, or a table
DEFAULT_NUM_FOLDS = 5
# 6 folds of 4 actors, 2 of each gender.
_NUM_FOLDS = {"ravdess": 6}


@dataclass(frozen=True)
class EmotionCorpus:
    """A corpus of emotional speech, measured.

    Attributes:
        name: its name in partitions, such as "ravdess".
        root: folder that the paths are relative to.
        utterances: its utterances, each with an emotion.
        sample_rate_hz: sample rate that `num_samples` counts at, Hz.
        streams: label stream -> function that gives an utterance's line of it, beside emotion, gender and speaker:
            intensity, sentence, take, session.
        num_folds: usual number of folds of speakers.
        speakers_known: whether speakers can be held apart.
    """

    name: str
    root: Path
    utterances: list[Utterance]
    sample_rate_hz: int
    streams: Mapping[str, Key] = field(default_factory=dict)
    num_folds: int = DEFAULT_NUM_FOLDS
    speakers_known: bool = True

    @property
    def classes(self) -> list[str]:
        """Return the emotions, sorted."""
        return sorted({emotion(u) for u in self.utterances})

    @property
    def labels(self) -> Mapping[str, Key]:
        """Return the label streams that say something: each line is a symbol, or "" where it is not known."""
        streams = {"emotion": emotion, "gender": gender, "speaker": lambda u: u.speaker or "", **self.streams}
        return {name: _one_symbol(key) for name, key in streams.items() if any(map(key, self.utterances))}


def _one_symbol(key: Key) -> Key:
    return lambda u: "_".join(key(u).split())


def emotion(utterance: Utterance) -> str:
    """Return the emotion of an utterance."""
    return utterance.emotion or ""


def gender(utterance: Utterance) -> str:
    """Return the gender of an utterance's speaker; "" where it is not known."""
    return utterance.gender or ""


def find_kind(root: Path) -> str:
    """Return the name of the reader that knows the layout of a folder, or `OTHER`.

    Raises:
        ValueError: the folder holds several corpora.
    """
    found = []
    for name, reader in READERS.items():
        try:
            reader.recordings_folder(root)
        except OSError:
            continue
        found.append(name)
    if len(found) > 1:
        raise ValueError(
            f"{root}: it holds several corpora, {' and '.join(found)}; give the folder of one, or --kind"
        )
    return found[0] if found else OTHER


def read_known(
    kind: str, root: Path, *, measure: Measure, sample_rate_hz: int, on_problem: Report
) -> EmotionCorpus:
    """Read a corpus in one of the known layouts.

    Args:
        kind: one of `READERS`.
        measure: decodes a recording, see `measured.measured`.
        sample_rate_hz: sample rate to count samples at, Hz.
        on_problem: receives a line for each file that is skipped, and where counts differ from the published ones.

    Raises:
        ValueError: there are no two emotions.
    """
    reader = READERS[kind]
    found = list(reader.read(root, measure=measure, sample_rate_hz=sample_rate_hz, on_problem=on_problem))
    corpus = EmotionCorpus(
        kind,
        reader.recordings_folder(root),
        found,
        sample_rate_hz,
        streams=reader.streams(root),
        num_folds=_NUM_FOLDS.get(kind, DEFAULT_NUM_FOLDS),
    )
    if len(corpus.classes) < 2:
        raise ValueError(
            f"{root}: 2 emotions or more are needed, found {corpus.classes} in {len(found)} usable recordings; see "
            "what was skipped"
        )
    return corpus


def of_labelled(name: str, root: Path, corpus: LabelledCorpus, *, speakers_known: bool) -> EmotionCorpus:
    """Return a data set of a folder per class or a table; its groups are sessions."""
    streams: dict[str, Callable[[Utterance], str]] = {}
    if corpus.groups:
        streams["session"] = lambda u: corpus.groups.get(u.id, "")
    return EmotionCorpus(
        name, root, corpus.utterances, corpus.sample_rate_hz, streams=streams, speakers_known=speakers_known
    )


def of_classes(corpus: EmotionCorpus, classes: list[str], on_problem: Report) -> EmotionCorpus:
    """Keep some of the classes; the recordings of others are counted.

    Raises:
        ValueError: there is no such class.
    """
    if unknown := sorted(set(classes) - set(corpus.classes)):
        raise ValueError(f"{corpus.root}: there is no class {unknown[0]!r}; the classes are {corpus.classes}")
    for name in corpus.classes:
        if name not in classes:
            count = sum(emotion(u) == name for u in corpus.utterances)
            on_problem(
                f"{corpus.name}: {name}: not among the chosen classes; its {count} recordings are left out"
            )
    return replace(corpus, utterances=[u for u in corpus.utterances if emotion(u) in classes])
