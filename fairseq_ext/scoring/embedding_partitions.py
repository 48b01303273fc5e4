"""The utterances of a partition beside their embeddings, matched by id; what is missing is named and counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..dictionary import read_dictionary
from ..manifest import read_manifest
from ..splits import assert_disjoint
from . import embeddings
from .embedding_files import EmbeddingFile
from .embeddings import Split
from .evaluation import with_labels
from .groups import UNKNOWN, read_groups
from .predictions import class_numbers

SPEAKER = "speaker"  # a label stream: who speaks, by which what an embedding says of speakers is measured
NO_VECTOR = "not among the recordings that were embedded"


@dataclass(frozen=True)
class Part:
    """The training or test utterances that have a label and an embedding.

    Attributes:
        split: the utterances.
        rows: their positions in the file of embeddings, (N,).
        missing: (id, reason) of those without an embedding.
        num_unlabelled: number of those without a label.
    """

    split: Split
    rows: NDArray[np.int64]
    missing: tuple[tuple[str, str], ...]
    num_unlabelled: int


@dataclass(frozen=True)
class Partition:
    """A partition into training and test utterances.

    Attributes:
        name: name of the partition.
        label: label stream.
        labels: classes of the training, (C,).
        groups: kind of group, such as gender -> the group of each test utterance, (N,).
    """

    name: str
    label: str
    labels: tuple[str, ...]
    train: Part
    test: Part
    groups: Mapping[str, Sequence[str]]

    @property
    def train_targets(self) -> NDArray[np.int64]:
        """Class numbers of the training utterances."""
        return class_numbers(self.train.split.targets, self.labels, f"{self.name}/train.{self.label}")

    @property
    def test_targets(self) -> NDArray[np.int64]:
        """Class numbers of the test utterances."""
        return class_numbers(self.test.split.targets, self.labels, f"{self.name}/test.{self.label}")

    @property
    def shared_speakers(self) -> set[str]:
        """The speakers in both."""
        return set(self.train.split.speakers) & set(self.test.split.speakers)


def read_partition(
    name: str,
    folder: Path,
    file: EmbeddingFile,
    *,
    label: str,
    train_splits: Sequence[str] = ("train", "valid"),
    split: str = "test",
    groups: Sequence[str] = (),
    groups_folder: Path | None = None,
    leaky_control: bool = False,
) -> Partition:
    """Read a partition from its manifest folder.

    `groups_folder` holds the label streams of `groups` where the partition's own folder does not.

    Of `train_splits` a folder may lack all but the first. The validation utterances may train, since choices are made
    on folds of the training speakers.

    Raises:
        ValueError: a speaker is in both splits and it is no leaky control, or in none and it is one; no utterance of a
            split has an embedding; the test has a class that the training lacks, or the training has fewer than two.
    """
    first, *others = train_splits
    present = [first, *(name for name in others if (Path(folder) / f"{name}.tsv").is_file())]
    train = _joined([read_part(folder, name, label, file) for name in present])
    test = read_part(folder, split, label, file)
    of_group = {stream: read_groups(groups_folder or folder, split, stream) for stream in groups}
    found = _partition(name, folder, label, train, test, of_group)
    _check_speakers(found, leaky_control)
    return found


def read_folds(
    name: str,
    folder: Path,
    file: EmbeddingFile,
    *,
    label: str,
    by: str,
    split: str = "test",
    groups: Sequence[str] = (),
) -> Iterator[Partition]:
    """Make a partition per group of one split's utterances: the group is tested, the others are trained on.

    So a label that unseen speakers cannot have, such as the speaker, is learnt from some sentences or takes of every
    speaker and asked of another.

    Raises:
        ValueError: all utterances are of one group, or as `read_partition`; the speakers are not checked.
    """
    everything = read_part(folder, split, label, file)
    group_of = read_groups(folder, split, by)
    of_group = {stream: read_groups(folder, split, stream) for stream in groups}
    mine = [group_of[id_] for id_ in everything.split.ids]
    if len(set(mine)) < 2:
        raise ValueError(
            f"{folder}/{split}: 2 groups by {by} or more expected to make folds, found {sorted(set(mine))}; name "
            "another label stream"
        )
    for group in sorted(set(mine)):
        tested = [i for i, other in enumerate(mine) if other == group]
        rest = [i for i, other in enumerate(mine) if other != group]
        train, test = _chosen(everything, rest), _chosen(everything, tested)
        yield _partition(f"{name}/{group.replace('/', '_')}", folder, label, train, test, of_group)


def _joined(parts: Sequence[Part]) -> Part:
    columns = ("entries", "ids", "speakers", "targets")
    split = Split(*(tuple(chain.from_iterable(getattr(p.split, name) for p in parts)) for name in columns))
    missing = tuple(chain.from_iterable(p.missing for p in parts))
    return Part(split, np.concatenate([p.rows for p in parts]), missing, sum(p.num_unlabelled for p in parts))


def _chosen(part: Part, positions: Sequence[int]) -> Part:
    return replace(part, split=part.split.subset(positions), rows=part.rows[list(positions)])


def read_part(folder: Path, split: str, label: str, file: EmbeddingFile) -> Part:
    """Read the utterances of a split that have a label and an embedding.

    Raises:
        ValueError: none of them has an embedding.
    """
    everything = _read(folder, split, label)
    labelled = with_labels(everything)
    known = {id_: row for row, id_ in enumerate(file.ids)}
    found = [i for i, id_ in enumerate(labelled.ids) if id_ in known]
    if not found:
        raise ValueError(
            f"{folder}/{split}: none of {len(labelled.ids)} labelled recordings has an embedding"
            f"{f', such as {labelled.ids[0]}' if labelled.ids else ''}; embed the manifest that lists them"
        )
    missing = tuple((id_, file.skipped.get(id_, NO_VECTOR)) for id_ in labelled.ids if id_ not in known)
    rows = np.array([known[labelled.ids[i]] for i in found], dtype=np.int64)
    return Part(labelled.subset(found), rows, missing, len(everything.ids) - len(labelled.ids))


def _read(folder: Path, split: str, label: str) -> Split:
    """Read a split; the stream of speakers may be in the sidecar alone."""
    if label == SPEAKER and not (Path(folder) / f"{split}.{label}").is_file():
        utterances = list(read_manifest(folder, split))
        found = tuple(str(u.speaker or "") for u in utterances)
        entries = tuple(embeddings.read_locations(folder, split).values())
        return Split(entries, tuple(u.id for u in utterances), found, found)
    return embeddings.read_split(folder, split, label)


def _partition(
    name: str, folder: Path, label: str, train: Part, test: Part, of_group: Mapping[str, Mapping[str, str]]
) -> Partition:
    present = set(train.split.targets)
    if absent := sorted(set(test.split.targets) - present):
        count = sum(target in absent for target in test.split.targets)
        raise ValueError(
            f"{name}: {count} test recordings are of classes that no training recording has, {absent}; leave them out, "
            f"or map the classes of both with one table (training: {sorted(present)})"
        )
    if len(present) < 2:
        raise ValueError(f"{name}: 2 classes or more expected in training, found {sorted(present)}")
    groups = {kind: [of.get(id_, UNKNOWN) for id_ in test.split.ids] for kind, of in of_group.items()}
    return Partition(name, label, _labels(folder, label, present), train, test, groups)


def _labels(folder: Path, label: str, present: set[str]) -> tuple[str, ...]:
    """Return the classes in the order of the dictionary, where there is one and it has them all."""
    path = Path(folder) / f"dict.{label}.txt"
    listed = [name for name in read_dictionary(path) if name in present] if path.is_file() else []
    return tuple(listed) if set(listed) == present else tuple(sorted(present))


def _check_speakers(partition: Partition, leaky_control: bool) -> None:
    if partition.label == SPEAKER:
        return
    if not leaky_control:
        assert_disjoint({"train": partition.train.split.speakers, "test": partition.test.split.speakers})
    elif not partition.shared_speakers:
        raise ValueError(
            f"{partition.name}: a leaky control expected, but training and test share no speaker; leave out "
            "--leaky-control"
        )
