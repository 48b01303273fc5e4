"""Matrices of confusions: every pair of the alignment is counted, in visemes and in words."""

import csv
from pathlib import Path

import numpy as np
import pytest

from fairseq_ext.report.score_plots import confusion_shares
from fairseq_ext.scoring.recognition.confusion_matrix import (
    MAX_WORDS,
    NO_TOKEN,
    OTHERS,
    confusion_matrices,
    write_csv,
)
from fairseq_ext.text.scoring import count_all, total, words

SPOKEN = ["place red at a", "bin blue by b", "bin red at b"]
HEARD = ["place red at", "pin blue by b b", "bin red by b"]


def test_every_pair_is_counted() -> None:
    visemes, matrix = confusion_matrices(SPOKEN, HEARD, "en")
    # By their place in the sentence, then by the alphabet.
    assert matrix.spoken == ("bin", "place", "blue", "red", "at", "by", "a", "b", NO_TOKEN)
    assert matrix.recognised == (*matrix.spoken[:-1], OTHERS, NO_TOKEN)
    found = {
        (matrix.spoken[row], matrix.recognised[column]): int(n)
        for (row, column), n in np.ndenumerate(matrix.counts)
        if n
    }
    wrong = {pair: n for pair, n in found.items() if pair[0] != pair[1]}
    assert wrong == {("a", NO_TOKEN): 1, ("bin", OTHERS): 1, (NO_TOKEN, "b"): 1, ("at", "by"): 1}
    errors = total(count_all(SPOKEN, HEARD, words))
    assert matrix.counts[:-1].sum() == errors.num_reference == 12
    assert sum(wrong.values()) == errors.errors
    # To lips, "pin" is "bin".
    row = visemes.spoken.index("p b m")
    assert visemes.counts[row, row] == visemes.counts[row].sum() == 7


def test_many_words_and_unknown_languages_make_no_matrix() -> None:
    many = " ".join(f"w{number}" for number in range(MAX_WORDS + 1))
    assert [m.unit for m in confusion_matrices([many], [many], "en")] == ["visemes"]
    assert confusion_matrices([many], [many], "de") == []
    assert [m.unit for m in confusion_matrices(["a b"], [""])] == ["words"]


def test_csv_holds_the_matrix(tmp_path: Path) -> None:
    matrix = confusion_matrices(SPOKEN, HEARD)[0]
    write_csv(tmp_path / "a.csv", matrix)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert tuple(header[1:]) == matrix.recognised
    assert tuple(line[0] for line in lines) == matrix.spoken
    np.testing.assert_array_equal([[int(n) for n in line[1:]] for line in lines], matrix.counts)


@pytest.mark.parametrize("size", [4, 40])
def test_shares_are_of_the_row(size: int) -> None:
    counts = np.diag(np.full(size, 997))
    counts[0, 1:3] = 2, 1
    names = [str(number) for number in range(size)]
    axes = confusion_shares(counts, names, names).axes[0]
    image = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(image[0, :3], [99.7, 0.2, 0.1])
    texts = [text.get_text() for text in axes.texts]
    assert texts == (["100", "<1", "<1", "100", "100", "100"] if size == 4 else [])
