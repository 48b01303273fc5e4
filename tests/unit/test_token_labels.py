"""Transcripts as numbers: byte for byte, too long ones found, missing units reported."""

import itertools
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from fairseq_ext.data.labels import PAD, SPECIAL_SYMBOLS, UNKNOWN, TokenLabels, frames_needed, token_symbols
from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.text.units import count_units, from_characters, to_characters

TEXTS = ["la plaça de demà", "una iŀlusió", "", "caça-la", "l'àvia viu allà", "ŀŀ"] * 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Label stream and dictionary of the texts."""
    root = tmp_path_factory.mktemp("labels")
    rows = [to_characters(text) for text in TEXTS]
    (root / "train.ltr").write_text("".join(" ".join(row) + "\n" for row in rows), encoding="utf-8")
    write_dictionary(root / "dict.ltr.txt", count_units(rows))
    return root


@pytest.fixture
def labels(folder: Path) -> TokenLabels:
    return TokenLabels(folder / "train.ltr", token_symbols(folder, "ltr"))


def test_symbols_are_fairseqs_and_the_dictionarys(folder: Path) -> None:
    from fairseq.data import Dictionary

    symbols = token_symbols(folder, "ltr")
    stock = Dictionary.load(str(folder / "dict.ltr.txt"))
    assert symbols == list(stock.symbols)
    assert symbols[:4] == list(SPECIAL_SYMBOLS)
    assert set("çàŀ|'-") < set(symbols)


def test_each_row_comes_back_byte_for_byte(labels: TokenLabels) -> None:
    assert len(labels) == len(TEXTS)
    generator = np.random.default_rng(1)
    for row in generator.permutation(len(TEXTS))[:300].tolist():
        text = from_characters(labels.symbols[token] for token in labels[row])
        assert text.encode() == TEXTS[row].encode()


def test_numbers_equal_stock_fairseqs(labels: TokenLabels, folder: Path) -> None:
    from fairseq.data import Dictionary

    stock = Dictionary.load(str(folder / "dict.ltr.txt"))
    for row, text in enumerate(TEXTS[:6]):
        line = " ".join(to_characters(text))
        expected = stock.encode_line(line, append_eos=False, add_if_not_exist=False)
        assert labels[row].tolist() == expected.tolist()


def shortest_by_search(tokens: list[int]) -> int:
    """Length of the shortest sequence over tokens and blank that collapses to `tokens`."""
    for size in itertools.count():
        for path in itertools.product({0, *tokens}, repeat=size):
            collapsed = [symbol for symbol, _ in itertools.groupby(path) if symbol]
            if collapsed == tokens:
                return size
    raise AssertionError


@pytest.mark.parametrize("tokens", [[], [5], [5, 6], [5, 5], [5, 5, 5], [5, 6, 6], [5, 6, 5]])
def test_frames_needed_is_the_shortest_path(tokens: list[int]) -> None:
    assert frames_needed(tokens) == shortest_by_search(tokens)


def test_misfits_are_exactly_those_without_a_path(labels: TokenLabels) -> None:
    generator = np.random.default_rng(2)
    num_frames = generator.integers(0, 24, size=len(labels))
    found = labels.misfits(num_frames)
    losses = []
    for row, frames in enumerate(num_frames.tolist()):
        log_probs = torch.zeros(24, 1, len(labels.symbols)).log_softmax(2)
        target = labels[row][None]
        sizes = torch.tensor([frames]), torch.tensor([target.shape[1]])
        losses.append(torch.nn.functional.ctc_loss(log_probs, target, *sizes, reduction="none").item())
    assert found.tolist() == np.isinf(losses).tolist()
    assert 0 < found.sum() < len(labels)


def test_units_of_no_dictionary_become_unknown_and_are_reported(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    symbols = [symbol for symbol in token_symbols(folder, "ltr") if symbol not in {"ŀ", "ç"}]
    labels = TokenLabels(folder / "train.ltr", symbols)
    assert labels[5].tolist() == [UNKNOWN, UNKNOWN, symbols.index("|")]
    # two unknown units in a row are one token twice
    assert labels.misfits(np.full(len(labels), 3))[5]
    with caplog.at_level(logging.WARNING):
        labels.report_missing()
    assert len(caplog.records) == 2
    assert "'ŀ' is not in the dictionary" in caplog.text
    assert "1200 times in 800 rows" in caplog.text


def test_missing_units_come_with_counts_and_an_example(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [" ".join(to_characters(text)) for text in ("l'any", "què l'l", "ça")]
    (tmp_path / "train.ltr").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        TokenLabels(tmp_path / "train.ltr", [*SPECIAL_SYMBOLS, *"lanyquç|"]).report_missing()
    assert [message.split("becomes <unk>: ")[1] for message in caplog.messages] == [
        "2 times in 2 rows, e.g. l ' a n y |",
        "1 times in 1 rows, e.g. q u è | l ' l |",
    ]
    assert ['"\'"' in caplog.messages[0], "'è'" in caplog.messages[1]] == [True, True]


def test_nothing_is_reported_of_a_dictionary_that_covers_all(
    labels: TokenLabels, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        labels.report_missing()
    assert caplog.records == []


def test_padding_is_never_a_token(labels: TokenLabels) -> None:
    assert all(PAD not in labels[row].tolist() for row in range(6))


def test_missing_dictionary_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dict\.ltr\.txt: no such dictionary"):
        token_symbols(tmp_path, "ltr")


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.ltr").write_bytes(b"a b |\n" + "ç |\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"train\.ltr:2: it is not UTF-8"):
        TokenLabels(tmp_path / "train.ltr", ["a"])
