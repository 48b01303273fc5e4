"""Corpora of one class per recording, an emotion or an accent, in one shape whatever their layout.

A `Family` holds the readers of the corpora of one kind of class; which of them a folder is for is told by its content.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from ..manifest import Utterance
from ..splits import Key
from ..text.published import Report
from .balanced_folds import parts_of, unseen_too
from .labelled_corpus import LabelledCorpus
from .measured import Measure
from .partitions import Partition

OTHER = "other"  # a folder per class, or a table
DEFAULT_NUM_FOLDS = 5


class CorpusReader(Protocol):
    """What a module that reads such a corpus has; see `corpora/__init__.py` for the contract."""

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
        """Return label stream -> an utterance's line of it, beside the class, gender and speaker."""


@dataclass(frozen=True)
class SpeechCorpus:
    """A corpus of one class per recording, measured.

    Attributes:
        name: its name in partitions, such as "ravdess".
        root: folder that the paths are relative to.
        utterances: its utterances, each with a class.
        sample_rate_hz: sample rate that `num_samples` counts at, Hz.
        stream: what the classes are, a field of an utterance: "emotion" or "accent".
        streams: label stream -> function that gives an utterance's line of it, beside the class, gender and speaker:
            intensity, sentence, take, session.
        num_folds: usual number of folds of speakers.
        speakers_known: whether speakers can be held apart.
    """

    name: str
    root: Path
    utterances: list[Utterance]
    sample_rate_hz: int
    stream: str
    streams: Mapping[str, Key] = field(default_factory=dict)
    num_folds: int = DEFAULT_NUM_FOLDS
    speakers_known: bool = True

    def label(self, utterance: Utterance) -> str:
        """Return the class of an utterance."""
        return getattr(utterance, self.stream) or ""

    @property
    def classes(self) -> list[str]:
        """Return the classes, sorted."""
        return sorted(set(map(self.label, self.utterances)))

    @property
    def labels(self) -> Mapping[str, Key]:
        """Return the label streams that say something: each line is a symbol, or "" where it is not known."""
        own: dict[str, Key] = {
            self.stream: self.label,
            "gender": gender,
            "speaker": lambda u: u.speaker or "",
        }
        return {
            name: _one_symbol(key)
            for name, key in {**own, **self.streams}.items()
            if any(map(key, self.utterances))
        }


def _one_symbol(key: Key) -> Key:
    return lambda u: "_".join(key(u).split())


def gender(utterance: Utterance) -> str:
    """Return the gender of an utterance's speaker; "" where it is not known."""
    return utterance.gender or ""


@dataclass(frozen=True)
class Family:
    """The readers of the corpora of one kind of class.

    Attributes:
        stream: what the classes are, a field of an utterance.
        readers: kind -> module that reads it.
        num_folds: kind -> usual number of folds of speakers, where it is not `DEFAULT_NUM_FOLDS`.
    """

    stream: str
    readers: Mapping[str, CorpusReader]
    num_folds: Mapping[str, int] = field(default_factory=dict)

    def find_kind(self, root: Path) -> str:
        """Return the name of the reader that knows the layout of a folder, or `OTHER`.

        Raises:
            ValueError: the folder holds several corpora.
        """
        found = []
        for name, reader in self.readers.items():
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

    def read(
        self, kind: str, root: Path, *, measure: Measure, sample_rate_hz: int, on_problem: Report
    ) -> SpeechCorpus:
        """Read a corpus in one of the known layouts.

        Args:
            kind: one of `readers`.
            measure: decodes a recording, see `measured.measured`.
            sample_rate_hz: sample rate to count samples at, Hz.
            on_problem: receives a line for each file that is skipped, and where counts differ from the published ones.

        Raises:
            ValueError: there are no two classes.
        """
        reader = self.readers[kind]
        found = list(reader.read(root, measure=measure, sample_rate_hz=sample_rate_hz, on_problem=on_problem))
        corpus = SpeechCorpus(
            kind,
            reader.recordings_folder(root),
            found,
            sample_rate_hz,
            self.stream,
            streams=reader.streams(root),
            num_folds=self.num_folds.get(kind, DEFAULT_NUM_FOLDS),
        )
        if len(corpus.classes) < 2:
            raise ValueError(
                f"{root}: 2 {self.stream}s or more are needed, found {corpus.classes} in {len(found)} usable "
                "recordings; see what was skipped"
            )
        return corpus

    def of_labelled(
        self, name: str, root: Path, corpus: LabelledCorpus, *, speakers_known: bool
    ) -> SpeechCorpus:
        """Return a data set of a folder per class or a table; its groups are sessions."""
        streams: dict[str, Callable[[Utterance], str]] = {}
        if corpus.groups:
            streams["session"] = lambda u: corpus.groups.get(u.id, "")
        return SpeechCorpus(
            name,
            root,
            corpus.utterances,
            corpus.sample_rate_hz,
            self.stream,
            streams=streams,
            speakers_known=speakers_known,
        )


def of_classes(corpus: SpeechCorpus, classes: list[str], on_problem: Report) -> SpeechCorpus:
    """Keep some of the classes; the recordings of others are counted.

    Raises:
        ValueError: there is no such class.
    """
    if unknown := sorted(set(classes) - set(corpus.classes)):
        raise ValueError(f"{corpus.root}: there is no class {unknown[0]!r}; the classes are {corpus.classes}")
    for name in corpus.classes:
        if name not in classes:
            count = sum(corpus.label(u) == name for u in corpus.utterances)
            on_problem(
                f"{corpus.name}: {name}: not among the chosen classes; its {count} recordings are left out"
            )
    return replace(corpus, utterances=[u for u in corpus.utterances if corpus.label(u) in classes])


def unseen_sentences(corpus: SpeechCorpus, family: str, folds: Iterable[Partition]) -> Iterator[Partition]:
    """Divide folds of unseen speakers by sentences too, see `balanced_folds.unseen_too`.

    Raises:
        ValueError: the sentences of the corpus are not known.
    """
    if "sentence" not in corpus.streams:
        raise ValueError(f"{family}: the sentences of {corpus.name} are not known; leave this partition out")
    sentence = corpus.streams["sentence"]
    parts = parts_of(corpus.utterances, sentence)
    for fold in folds:
        yield from unseen_too(fold, sentence, parts)


def everything(corpus: SpeechCorpus) -> Partition:
    """Return the partition `all`; its dictionaries count all utterances."""
    dictionaries = {}
    for name, label in corpus.labels.items():
        counts = Counter(filter(None, map(label, corpus.utterances)))
        dictionaries[name] = {symbol: counts[symbol] for symbol in sorted(counts)}
    return Partition("all", train=[], test=corpus.utterances, labels=corpus.labels, dictionaries=dictionaries)


def absent(partition: Partition, stream: str) -> list[str]:
    """Describe the classes that a partition cannot learn, since none is in training, or does not test."""
    label = partition.labels[stream]
    trained, tested = (set(map(label, side)) for side in (partition.train, partition.test))
    lines = []
    for name in partition.dictionaries[stream]:
        if name not in trained:
            lines.append(
                f"{partition.name}: no training recording of {name}, which cannot be recognised; "
                "record it of more speakers, or leave it out (--classes)"
            )
        if name not in tested:
            lines.append(f"{partition.name}: no test recording of {name}; pool the folds before scoring")
    return lines
