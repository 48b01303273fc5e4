"""Alphabets between Hugging Face and fairseq: rows, special tokens, and what a dictionary cannot hold."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_ext.checkpoints.hf_vocab import ABSENT_BIAS, head_to_fairseq, read_vocabulary, write_vocabulary

LETTERS = ["|", "a", "à", "ç", "·", "ŀ", "'"]
FACEBOOK = {token: row for row, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", *LETTERS])}
USERS = {token: row for row, token in enumerate(["a", " ", "ç", "[UNK]", "[PAD]"])}
USERS_OPTIONS = {"pad_token": "[PAD]", "unk_token": "[UNK]", "word_delimiter_token": " "}


def test_facebooks_order_is_that_of_fairseq() -> None:
    found = read_vocabulary(FACEBOOK, {}, 0, len(FACEBOOK), "vocab.json")
    assert found.symbols == LETTERS
    assert found.rows == list(range(len(FACEBOOK)))
    assert not found.unused


def test_users_order_is_turned_and_what_is_absent_is_marked() -> None:
    found = read_vocabulary(USERS, USERS_OPTIONS, 4, 5, "vocab.json")
    assert found.symbols == ["a", "|", "ç"]
    assert found.rows == [4, None, None, 3, 0, 1, 2]


def test_special_tokens_may_be_tables_and_added_without_a_row() -> None:
    options = {
        "pad_token": {"content": "[PAD]", "special": True},
        "unk_token": {"content": "[UNK]"},
        "bos_token": "<s>",
        "word_delimiter_token": {"content": " "},
    }
    found = read_vocabulary({**USERS, "<s>": 5, "</s>": 6}, options, 4, 5, "vocab.json")
    assert found.rows == [4, None, None, 3, 0, 1, 2]
    assert set(found.unused) == {"<s>", "</s>"}


def test_token_in_two_roles_is_the_blank() -> None:
    found = read_vocabulary({"<s>": 0, "a": 1}, {"pad_token": "<s>"}, 0, 2, "vocab.json")
    assert found.rows == [0, None, None, None, 1]
    assert found.symbols == ["a"]


def test_alphabet_of_capitals_that_are_written_small_becomes_small() -> None:
    tokens = {"<pad>": 0, "Ç": 1, "L": 2, "|": 3}
    assert read_vocabulary(tokens, {"do_lower_case": True}, 0, 4, "vocab.json").symbols == ["ç", "l", "|"]
    assert read_vocabulary(tokens, {}, 0, 4, "vocab.json").symbols == ["Ç", "L", "|"]


@pytest.mark.parametrize(
    ("tokens", "options", "message"),
    [
        ({"cat": {"a": 0}, "spa": {"a": 0}}, {}, "a vocabulary per language"),
        ({"<pad>": 0, "a": 1, "b": 1}, {}, "3 tokens for the 2 rows"),
        ({"<pad>": 0, "a": 2}, {}, r"1 tokens for the 2 rows of the head, and 1 beyond them \['a'\]"),
        ({"<pad>": 0}, {}, "1 tokens for the 2 rows of the head, and 0"),
        ({"a": 0, "b": 1}, {}, "padding token is at row None, .* is 0;"),
        ({"a": 0, "<pad>": 1}, {}, "padding token is at row 1, .* is 0;"),
        ({"<pad>": 0, "a b": 1}, {}, "a fairseq dictionary cannot hold the token 'a b'"),
        ({"<pad>": 0, " ": 1}, {}, "the token ' '"),
        ({"[PAD]": 0, "<pad>": 1}, {"pad_token": "[PAD]"}, "the token '<pad>': .* rename"),
        ({"<pad>": 0, "|": 1, " ": 2}, {"word_delimiter_token": " "}, r"the token '\|'"),
        ({"<pad>": 0, "à": 1, "À": 2}, {"do_lower_case": True}, "the token 'à'"),
    ],
)
def test_what_does_not_fit_is_refused(tokens: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^ca/vocab\.json: .*" + message):
        read_vocabulary(tokens, options, 0, max(2, len(set(map(str, tokens.values())))), "ca/vocab.json")


def test_head_follows_its_rows() -> None:
    weight, bias = torch.arange(6.0).view(3, 2), torch.arange(3.0)
    rows = [2, None, 0]
    assert head_to_fairseq(weight, rows).tolist() == [[4, 5], [0, 0], [0, 1]]
    assert head_to_fairseq(bias, rows).tolist() == [2, ABSENT_BIAS, 0]


def test_absent_rows_do_not_weigh_in_any_precision() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        bias = head_to_fairseq(torch.zeros(2, dtype=dtype), [0, None, 1])
        assert bias.dtype == dtype
        assert bias.softmax(0).tolist() == [0.5, 0.0, 0.5]


def test_alphabet_without_words_has_no_delimiter() -> None:
    _, options = write_vocabulary(["a", "ç"])
    assert options["word_delimiter_token"] is None
    tokens, options = write_vocabulary(LETTERS)
    assert options["word_delimiter_token"] == "|"
    assert tokens == FACEBOOK


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=3), unique=True, max_size=30))
def test_every_dictionary_comes_back(symbols: list[str]) -> None:
    symbols = [s for s in symbols if s.split() == [s] and s not in {"<s>", "<pad>", "</s>", "<unk>"}]
    tokens, options = write_vocabulary(symbols)
    found = read_vocabulary(tokens, options, 0, len(tokens), "vocab.json")
    assert found.symbols == symbols
    assert found.rows == list(range(len(symbols) + 4))
