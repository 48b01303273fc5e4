"""Classes of a split in one or several label streams; a row may lack its label in any of them.

An empty line of a stream means that the class is unknown, e.g. for a speaker who states no gender. No loss counts it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..dictionary import read_dictionary
from ..line_index import LineIndex

# `ignore_index` of torch's losses
NOT_KNOWN = -100


class LabelStreams:
    """Class numbers of each row, read on demand: one number, or a list of them when there are several streams.

    A row whose line is empty has `NOT_KNOWN`.

    Args:
        folder: folder of the manifests.
        split: stem of the label files.
        streams: stream -> classes, in the order of the network's outputs.

    Raises:
        FileNotFoundError: a stream has no file.
        ValueError: the streams have different numbers of rows.
    """

    def __init__(self, folder: str | Path, split: str, streams: Mapping[str, Sequence[str]]) -> None:
        self._lines = [LineIndex(Path(folder) / f"{split}.{stream}") for stream in streams]
        self._numbers = [{name: i for i, name in enumerate(names)} for names in streams.values()]
        sizes = {stream: len(lines) for stream, lines in zip(streams, self._lines, strict=True)}
        if len(set(sizes.values())) > 1:
            raise ValueError(
                f"{folder}/{split}: the label streams have different numbers of rows, {sizes}; write them with "
                "manifest.write_manifest"
            )

    def __len__(self) -> int:
        return len(self._lines[0])

    def __getitem__(self, row: int) -> int | list[int]:
        pairs = zip(self._lines, self._numbers, strict=True)
        found = [_class_number(lines, row, numbers) for lines, numbers in pairs]
        return found[0] if len(found) == 1 else found


def _class_number(lines: LineIndex, row: int, numbers: Mapping[str, int]) -> int:
    name = lines[row]
    if name and name not in numbers:
        raise ValueError(
            f"{lines.path}:{row + 1}: one of {list(numbers)} expected, found {name!r}; add it to the dictionary or fix "
            "the row, then run fairseq-ext check"
        )
    return numbers[name] if name else NOT_KNOWN


def class_names(folder: str | Path, label: str) -> list[str]:
    """Return the classes of a label stream in the order of its `dict.<label>.txt`.

    Raises:
        FileNotFoundError: no dictionary.
    """
    return read_dictionary(Path(folder) / f"dict.{label}.txt")


def stream_names(label: str) -> list[str]:
    """Return the label streams of a task's key, names with commas between them, e.g. "accent,gender".

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
    """Count the rows of each class of a stream in a split; rows without a label count nowhere.

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

    rows / (classes that occur x rows of the class), 0 for a class without rows: King and Zeng 2001, "Logistic
    Regression in Rare Events Data", section 4; named as in scikit-learn. The counts are not all 0.
    """
    occurring = sum(count > 0 for count in counts)
    return [sum(counts) / (occurring * count) if count else 0.0 for count in counts]
