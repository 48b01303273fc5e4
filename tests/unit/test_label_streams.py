"""Label streams: several beside each other, gaps in them, balanced weights."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from fairseq_ext.data.label_streams import (
    NOT_KNOWN,
    LabelStreams,
    balanced_weights,
    count_classes,
    stream_names,
)

STREAMS = {"accent": ["valencià", "nord-occidental", "balear"], "gender": ["female", "male"]}
ACCENTS = ["valencià", "", "balear", "valencià", "valencià"]
GENDERS = ["male", "female", "", "female", "male"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, lines in (("accent", ACCENTS), ("gender", GENDERS)):
        (tmp_path / f"train.{name}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return tmp_path


def test_rows_have_a_number_per_stream_and_gaps_stay_gaps(folder: Path) -> None:
    labels = LabelStreams(folder, "train", STREAMS)
    assert [labels[row] for row in range(len(labels))] == [
        [0, 1], [NOT_KNOWN, 0], [2, NOT_KNOWN], [0, 0], [0, 1],
    ]  # fmt: skip


def test_one_stream_has_bare_numbers(folder: Path) -> None:
    labels = LabelStreams(folder, "train", {"accent": STREAMS["accent"]})
    assert [labels[row] for row in range(5)] == [0, NOT_KNOWN, 2, 0, 0]


def test_unknown_class_is_named_with_its_line(folder: Path) -> None:
    labels = LabelStreams(folder, "train", {"gender": ["female"]})
    with pytest.raises(ValueError, match=r"train\.gender:1: .*'male'"):
        labels[0]


def test_streams_of_different_lengths_are_refused(folder: Path) -> None:
    (folder / "train.gender").write_text("male\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"different numbers of rows, .*'accent': 5, 'gender': 1"):
        LabelStreams(folder, "train", STREAMS)


def test_missing_stream_is_named(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train\.age"):
        LabelStreams(folder, "train", {"age": ["twenties"]})


def test_names_are_read_from_the_key() -> None:
    assert stream_names("digit") == ["digit"]
    assert stream_names("accent, gender") == ["accent", "gender"]
    for wrong in ("", "accent,", "accent,accent"):
        with pytest.raises(ValueError, match=r"task\.label: an empty or a repeated name found in"):
            stream_names(wrong)


def test_counts_leave_rows_without_a_label_out(folder: Path) -> None:
    assert count_classes(folder, "train", "accent", STREAMS["accent"]) == [3, 0, 1]
    with pytest.raises(ValueError, match=r"train\.accent: no row has a label among \['x'\]"):
        count_classes(folder, "train", "accent", ["x"])


def test_balanced_weights_are_scikit_learns() -> None:
    rows = np.repeat([0, 1, 2], [3, 10, 1])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=rows)
    assert balanced_weights([3, 10, 1]) == pytest.approx(expected.tolist())
    assert balanced_weights([3, 0, 1]) == pytest.approx([4 / 6, 0.0, 2.0])
