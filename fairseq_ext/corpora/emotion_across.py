"""Train on one corpus of emotional speech, test on another, both ways: the partitions `cross_corpus/A-B`.

The classes of the corpora are mapped onto common ones by a table, `emotion_labels.tsv` or one in its format. A pair is
trained and tested on the classes that both have; what is dropped is counted.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

from ..manifest import Utterance
from ..splits import Key
from ..text.published import Report
from .partitions import Partition, cross_corpus, map_labels
from .speech_corpora import SpeechCorpus

LABEL_MAP = Path(__file__).with_name("emotion_labels.tsv")
LabelMap = Mapping[tuple[str, str], str]  # (corpus, class) -> common class, "" = none


@dataclass(frozen=True, slots=True)
class MappedClass:
    """What becomes of a class of a corpus in a pair; `common` is "" where its recordings are dropped."""

    corpus: str
    label: str
    common: str
    num_recordings: int


def on_one_root(corpora: Sequence[SpeechCorpus]) -> list[SpeechCorpus]:
    """Return the corpora with paths relative to the folder above all of them, so that one manifest can list them."""
    root = Path(os.path.commonpath([corpus.root.resolve() for corpus in corpora]))
    placed = []
    for corpus in corpora:
        below = corpus.root.resolve().relative_to(root)
        utterances = [replace(u, path=(below / u.path).as_posix()) for u in corpus.utterances]
        placed.append(replace(corpus, root=root, utterances=utterances))
    return placed


def with_unique_names(corpora: Sequence[SpeechCorpus]) -> list[SpeechCorpus]:
    """Name corpora of one kind after their folders.

    Raises:
        ValueError: two folders have one name.
    """
    counts = Counter(corpus.name for corpus in corpora)
    named = [replace(c, name=c.root.resolve().name) if counts[c.name] > 1 else c for c in corpora]
    names = [corpus.name for corpus in named]
    if len(set(names)) != len(names):
        raise ValueError(f"--corpus: the folders {names} need different names; rename one")
    return named


def renamed(corpus: SpeechCorpus) -> SpeechCorpus:
    """Return the corpus with its name before ids and speakers: two corpora may both have a speaker "01"."""
    before = {f"{corpus.name}/{u.id}": u for u in corpus.utterances}
    utterances = [
        replace(u, id=id_, speaker=u.speaker and f"{corpus.name}/{u.speaker}") for id_, u in before.items()
    ]
    streams = {name: _through(key, before) for name, key in corpus.streams.items()}
    return replace(corpus, utterances=utterances, streams=streams)


def _through(key: Key, before: Mapping[str, Utterance]) -> Key:
    return lambda u: key(before[u.id])


def joined(corpora: Sequence[SpeechCorpus], table: LabelMap) -> SpeechCorpus:
    """Return renamed corpora on one root as one, with the streams of all, `corpus` and `common_emotion` among them.

    A label is "" where the corpus of the utterance does not state it.
    """
    owner = {u.id: corpus for corpus in corpora for u in corpus.utterances}
    names = sorted({name for corpus in corpora for name in corpus.streams})
    streams: dict[str, Key] = {name: _of_owner(name, owner) for name in names}
    streams["corpus"] = lambda u: owner[u.id].name
    streams["common_emotion"] = lambda u: table.get((owner[u.id].name, owner[u.id].label(u)), "")
    return replace(
        corpora[0],
        name="all",
        utterances=[u for corpus in corpora for u in corpus.utterances],
        streams=streams,
        speakers_known=all(corpus.speakers_known for corpus in corpora),
    )


def _of_owner(name: str, owner: Mapping[str, SpeechCorpus]) -> Key:
    def label(utterance: Utterance) -> str:
        key = owner[utterance.id].streams.get(name)
        return key(utterance) if key else ""

    return label


def across(
    corpora: Sequence[SpeechCorpus], table: LabelMap, *, seed: int = 1, on_problem: Report
) -> Iterator[tuple[Partition, list[MappedClass]]]:
    """Make `cross_corpus/A-B` of each two corpora, both ways, and say what became of each class.

    Args:
        corpora: two or more, with names of their own.
        table: the label map, as `class_partitions.read_label_map` returns it.
        seed: seed of the training speakers who validate.
        on_problem: receives a line for each class that is dropped, with its number of recordings.

    Raises:
        ValueError: two corpora have fewer than two classes in common.
    """
    common = {corpus.name: _common(corpus, table) for corpus in corpora}
    for first, second in permutations(corpora, 2):
        name = f"cross_corpus/{first.name}-{second.name}"
        shared = set(common[first.name].values()) & set(common[second.name].values())
        if len(shared) < 2:
            raise ValueError(
                f"{name}: 2 common classes or more are needed, found {sorted(shared)}; map the classes "
                f"{first.classes} and {second.classes} onto each other (--label-map)"
            )
        sides = [
            (c.name, c.utterances, {i: label for i, label in common[c.name].items() if label in shared})
            for c in (first, second)
        ]
        rows = [row for corpus in (first, second) for row in _mapped(corpus, table, shared)]
        for row in rows:
            if not row.common:
                on_problem(f"{name}: {row.label} of {row.corpus}: no common class; its {row.num_recordings} recordings "
                           "are left out")  # fmt: skip
        yield cross_corpus(name, *sides, stream="emotion", seed=seed), rows


def _common(corpus: SpeechCorpus, table: LabelMap) -> dict[str, str]:
    of_class = {label: table.get((corpus.name, label), "") for label in corpus.classes}
    return map_labels(corpus.utterances, corpus.label, of_class)[0]


def _mapped(corpus: SpeechCorpus, table: LabelMap, shared: set[str]) -> list[MappedClass]:
    counts = Counter(map(corpus.label, corpus.utterances))
    found = ((label, table.get((corpus.name, label), "")) for label in corpus.classes)
    return [
        MappedClass(corpus.name, label, common if common in shared else "", counts[label])
        for label, common in found
    ]
