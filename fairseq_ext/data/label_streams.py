"""Classes of a split in one or several label streams; a row may lack its label in any of them.

An empty line of a stream means that the class is unknown, e.g. for a speaker who states no gender. No loss counts it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..line_index import LineIndex
from .labels import ClassLabels

# `ignore_index` of torch's losses
NOT_KNOWN = -100


class OptionalLabels(ClassLabels):
    """Class number of each row, `NOT_KNOWN` where the line is empty.

    Args:
        path: see `ClassLabels`.
        names: see `ClassLabels`.
    """

    def __getitem__(self, row: int) -> int:
        return super().__getitem__(row) if self._lines[row] else NOT_KNOWN


class LabelStreams:
    """Class numbers of each row, read on demand: one number, or a list of them when there are several streams.

    Args:
        folder: folder of the manifests.
        split: stem of the label files.
        streams: stream -> classes, in the order of the network's outputs.

    Raises:
        FileNotFoundError: a stream has no file.
        ValueError: the streams have different numbers of rows.
    """

    def __init__(self, folder: str | Path, split: str, streams: Mapping[str, Sequence[str]]) -> None:
        self._labels = [
            OptionalLabels(Path(folder) / f"{split}.{stream}", list(names))
            for stream, names in streams.items()
        ]
        sizes = {stream: len(labels) for stream, labels in zip(streams, self._labels, strict=True)}
        if len(set(sizes.values())) > 1:
            raise ValueError(
                f"{folder}/{split}: the label streams have different numbers of rows, {sizes}; write them with "
                "manifest.write_manifest"
            )

    def __len__(self) -> int:
        return len(self._labels[0])

    def __getitem__(self, row: int) -> int | list[int]:
        numbers = [labels[row] for labels in self._labels]
        return numbers[0] if len(numbers) == 1 else numbers


def stream_names(label: str) -> list[str]:
    """Read a task's key that names one or several label streams.

    Args:
        label: names with commas between them, e.g. "accent,gender".

    Returns:
        The names.

    Raises:
        ValueError: an empty or a repeated name.
    """
    names = [name.strip() for name in label.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise ValueError(
            f"task.label: an empty or a repeated name found in {label!r}; write each label stream once, with commas "
            'between them, e.g. "accent,gender"'
        )
    return names


def count_classes(folder: str | Path, split: str, stream: str, names: Sequence[str]) -> list[int]:
    """Count the rows of each class in a split.

    Args:
        folder: folder of the manifests.
        split: stem of the label file.
        stream: name of the label stream, the file's suffix.
        names: the classes.

    Returns:
        A count for each class, in their order; rows without a label count nowhere.

    Raises:
        ValueError: not one row has a label.
    """
    path = Path(folder) / f"{split}.{stream}"
    found = Counter(LineIndex(path))
    counts = [found[name] for name in names]
    if not any(counts):
        raise ValueError(f"{path}: no row has a label among {list(names)}; write the manifest again")
    return counts


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """Return weights with which every class that occurs counts the same, and a row 1 on average.

    King and Zeng 2001, "Logistic Regression in Rare Events Data", section 4; named as in scikit-learn.

    Args:
        counts: rows of each class; not all 0.

    Returns:
        rows / (classes that occur x rows of the class); 0 for a class without rows.
    """
    occurring = sum(count > 0 for count in counts)
    return [sum(counts) / (occurring * count) if count else 0.0 for count in counts]
