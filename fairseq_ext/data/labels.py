"""Class labels of a split: one word per row of its tsv, mapped to numbers by a dictionary file."""

from pathlib import Path

from ..line_index import LineIndex
from ..manifest import read_dictionary


class ClassLabels:
    """Class number of each row, read on demand.

    Args:
        path: label stream, a line per row of the tsv, e.g. `train.digit`.
        names: the classes, in the order of the network's outputs.

    Raises:
        FileNotFoundError: no label stream.
    """

    def __init__(self, path: str | Path, names: list[str]) -> None:
        self.names = names
        self._numbers = {name: number for number, name in enumerate(names)}
        self._lines = LineIndex(path)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, row: int) -> int:
        name = self._lines[row]
        if name not in self._numbers:
            raise ValueError(
                f"{self._lines.path}:{row + 1}: one of {self.names} expected, found {name!r}; add it to the dictionary "
                "or mend the row, then run tools/check_data.py"
            )
        return self._numbers[name]


def class_names(folder: str | Path, label: str) -> list[str]:
    """Read the classes of a label stream from `dict.<label>.txt`.

    Args:
        folder: of the manifests.
        label: name of the stream.

    Returns:
        The class names in the dictionary's order.

    Raises:
        FileNotFoundError: no dictionary.
    """
    path = Path(folder) / f"dict.{label}.txt"
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: a dictionary of the classes expected, found no file; write it with manifest.write_dictionary"
        )
    return read_dictionary(path)
