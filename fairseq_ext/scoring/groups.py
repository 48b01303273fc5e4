"""Groups of utterances, such as by gender or intensity, that are scored apart: groups.tsv beside predictions.tsv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..files import atomic_write, read_lines, split_row
from ..manifest import Utterance, read_labels, read_manifest
from . import metrics
from .predictions import Predictions

UNKNOWN = "unknown"
GROUPS_FILE = "groups.tsv"


def read_groups(folder: Path, split: str, stream: str) -> dict[str, str]:
    """Return id -> group by a label file of a split, or by the column of that name in the sidecar.

    Raises:
        ValueError: there is neither.
    """
    utterances = list(read_manifest(folder, split))
    path = Path(folder) / f"{split}.{stream}"
    if path.is_file():
        names = list(read_labels(folder, split, stream))
    elif stream in Utterance.__slots__ and any(getattr(u, stream) for u in utterances):
        names = [str(getattr(u, stream) or "") for u in utterances]
    else:
        raise ValueError(
            f"{path}: this label file is missing, and no recording has a {stream} in {split}.meta.tsv; prepare the "
            "manifests with it, or leave it out"
        )
    if len(names) != len(utterances):
        raise ValueError(
            f"{path}: {len(names)} labels for {len(utterances)} recordings; prepare the manifests again"
        )
    return {u.id: name or UNKNOWN for u, name in zip(utterances, names, strict=True)}


def group_names(folder: Path, split: str, streams: Sequence[str], ids: Sequence[str]) -> dict[str, list[str]]:
    """Return label stream -> the group of each id, `UNKNOWN` for an id that the split lacks.

    Raises:
        ValueError: as `read_groups`.
    """
    found = {stream: read_groups(folder, split, stream) for stream in streams}
    return {stream: [of.get(id_, UNKNOWN) for id_ in ids] for stream, of in found.items()}


def write_groups(path: Path, ids: Sequence[str], groups: Mapping[str, Sequence[str]]) -> None:
    """Write groups.tsv: a row per utterance, a column per kind of group."""
    with atomic_write(path) as file:
        for row in zip(["id", *ids], *([name, *values] for name, values in groups.items()), strict=True):
            file.write("\t".join(row) + "\n")


def read_group_file(path: Path) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """Read groups.tsv: the ids, and kind of group -> the group of each id."""
    rows = [line.split("\t") for line in read_lines(path)]
    header = rows[0] if rows else ["id"]
    rows = [split_row("\t".join(row), len(header), f"{path}:{n}") for n, row in enumerate(rows[1:], 2)]
    columns = [[row[i] for row in rows] for i in range(len(header))]
    return tuple(columns[0]), dict(zip(header[1:], columns[1:], strict=True))


def per_groups(
    predictions: Predictions, groups: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, dict[str, float]]]:
    """Score each group of each kind, such as `{"gender": {"female": {"macro_recall": ...}}}`."""
    return {
        kind: metrics.per_group(predictions.targets, predictions.predicted, names, len(predictions.labels))
        for kind, names in groups.items()
    }
