"""Language models: sums of one, values computed by hand, a slow reference, ARPA files of other tools."""

import bz2
import codecs
import gzip
import lzma
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.decoding.arpa import MISSING_UNKNOWN_LOG10, read_arpa, write_arpa
from fairseq_ext.decoding.kneser_ney import discounts_of, train
from fairseq_ext.decoding.ngram import NgramModel
from fairseq_ext.file_errors import FileError

WORDS = ["la", "plaça", "del", "coŀlegi", "és", "allà", "gran", "el", "món"]
sentences = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=12
)


def zipf_texts(num: int, seed: int = 1) -> list[str]:
    """Make sentences whose counts of counts are like those of real text, so that discounts are estimated."""
    rng = np.random.default_rng(seed)
    ranks = np.minimum(rng.zipf(1.6, size=(num, 6)), 60)
    return [" ".join(f"mot{rank}ç" for rank in row[: 1 + i % 6]) for i, row in enumerate(ranks)]


def predicted(model: NgramModel) -> np.ndarray:
    """Return the ids of the words that can come next: all but <s>."""
    return np.array([i for i, word in enumerate(model.words) if word != "<s>"])


def state_after(model: NgramModel, words: list[str], start: int = 0) -> int:
    state = np.array([start])
    for word in words:
        _, state = model.score(state, np.array([model.word_id(word)]))
    return int(state[0])


def assert_sums_to_one(model: NgramModel, tolerance: float = 1e-9) -> None:
    """Check the sum after every state: all n-grams shorter than the order, and the empty one."""
    words = predicted(model)
    states = np.arange(model.trie.starts[max(1, model.order)])
    log_prob, _ = model.score(np.repeat(states, len(words)), np.tile(words, len(states)))
    sums = np.exp(log_prob).reshape(len(states), -1).sum(1)
    np.testing.assert_allclose(sums, 1, atol=tolerance)


class SlowKneserNey:
    """Modified Kneser-Ney with dictionaries and recursion, straight from the formulas (Chen & Goodman 1999)."""

    def __init__(self, texts: list[str], order: int) -> None:
        rows = [["<s>", *text.split(), "</s>"] for text in texts]
        self.vocabulary = {word for row in rows for word in row} - {"<s>"} | {"<unk>"}
        raw = [
            Counter(tuple(row[i : i + k]) for row in rows for i in range(len(row) - k + 1))
            for k in range(1, order + 1)
        ]
        self.counts = []
        for k, grams in enumerate(raw):
            left = defaultdict(set)
            for gram in raw[k + 1] if k + 1 < order else ():
                left[gram[1:]].add(gram[0])
            keep_raw = k + 1 == order
            self.counts.append(
                {
                    g: n if keep_raw or g[0] == "<s>" else len(left[g])
                    for g, n in grams.items()
                    if g != ("<s>",)
                }
            )
        self.discounts = [discounts_of(np.array(list(counts.values()))) for counts in self.counts]

    def prob(self, word: str, context: tuple[str, ...]) -> float:
        counts = self.counts[len(context)]
        discounts = self.discounts[len(context)]
        after = {g[-1]: n for g, n in counts.items() if g[:-1] == context}
        shorter = self.prob(word, context[1:]) if context else 1 / len(self.vocabulary)
        if not after:
            return shorter
        count = after.get(word, 0)
        held_back = sum(discounts[min(n, 3)] for n in after.values())
        return (count - discounts[min(count, 3)] + held_back * shorter) / sum(after.values())


def test_small_model_as_computed_by_hand() -> None:
    # Bigrams <s>a 2, ab, ac, b</s>, c</s> 1; words before a, b, c: 1, before </s>: 2; discounts .5 and 1.
    # Unigrams: p(a) = (1 - .5) / 5 + .5 / 5 = .2, p(</s>) = (2 - 1) / 5 + .1 = .3, p(<unk>) = .1.
    model = train(["a b", "a c"], order=2)
    assert model.words == ("<unk>", "<s>", "</s>", "a", "b", "c")
    # p(a|<s>) = (2 - 1) / 2 + .5 * .2, p(b|a) = .5 / 2 + .5 * .2, p(</s>|b) = .5 + .5 * .3
    assert model.score_words(["a", "b"]) == pytest.approx(math.log(0.6 * 0.35 * 0.65))
    # p(b|<s>) = .5 * .2; p(x|b) = .5 * .1; nothing follows <unk>: p(</s>) = .3
    assert model.score_words(["b", "x"]) == pytest.approx(math.log(0.1 * 0.05 * 0.3))
    assert model.score_words(["b"], end=False) == pytest.approx(math.log(0.1))


@settings(deadline=None, max_examples=40)
@given(texts=sentences, order=st.integers(1, 4))
def test_probabilities_sum_to_one_after_every_context(texts: list[str], order: int) -> None:
    assert_sums_to_one(train(texts, order))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_training_equals_the_formulas(order: int) -> None:
    texts = zipf_texts(150)
    model, slow = train(texts, order), SlowKneserNey(texts, order)
    assert all(tuple(d[1:]) != (0.5, 1.0, 1.5) for d in slow.discounts)  # estimated, not the fallback
    contexts: list[tuple[str, ...]] = [(), ("mot1ç",), ("<s>", "mot1ç"), ("mot1ç", "mot2ç"), ("mai", "mot1ç")]
    for context in contexts:
        state = state_after(model, list(context))
        known = tuple(context)[-(order - 1) :] if order > 1 else ()
        for word in ["mot1ç", "mot2ç", "mot60ç", "</s>", "<unk>"]:
            found, _ = model.score(np.array([state]), np.array([model.ids[word]]))
            assert math.exp(found[0]) == pytest.approx(slow.prob(word, known), rel=1e-9)


def test_discounts_are_estimated_or_fall_back() -> None:
    counts = np.repeat([1, 2, 3, 4, 9], [100, 40, 20, 12, 30])
    share = 100 / 180
    expected = [0, 1 - 2 * share * 0.4, 2 - 3 * share * 0.5, 3 - 4 * share * 0.6]
    np.testing.assert_allclose(discounts_of(counts), expected)
    np.testing.assert_allclose(discounts_of(np.array([1, 1, 2, 3])), [0, 0.5, 1, 1.5])
    decreasing = np.repeat([1, 2, 3, 4], [10, 10, 100, 10])  # 2 - 3 Y t3 / t2 is below 0
    np.testing.assert_allclose(discounts_of(decreasing), [0, 0.5, 1, 1.5])


@settings(deadline=None, max_examples=20)
@given(texts=sentences, order=st.integers(1, 4))
def test_arpa_gives_back_the_same_model(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], order: int
) -> None:
    path = tmp_path_factory.mktemp("lm") / "model.arpa"
    model = train(texts, order)
    write_arpa(path, model)
    read = read_arpa(path)
    assert read.words == model.words
    assert_sums_to_one(read, tolerance=1e-5)
    for text in [*texts, "plaça la nou és", "res"]:
        assert read.score_words(text.split()) == pytest.approx(model.score_words(text.split()), abs=1e-5)
    first = path.read_bytes()
    write_arpa(path, read)
    assert path.read_bytes() == first


# As KenLM's lmplz writes: tabs, "0" weights of words that are no context, log10 p of <s> 0, no weights at the top.
KENLM = """\\data\\
ngram 1=5
ngram 2=4
ngram 3=2

\\1-grams:
-1.5\t<unk>\t0
0\t<s>\t-0.25
-0.75\t</s>\t0
-0.625\tplaça\t-0.125
-0.5\tcoŀlegi\t-0.375

\\2-grams:
-0.25\t<s> plaça\t-0.0625
-0.375\tplaça coŀlegi\t-0.5
-0.1875\tcoŀlegi </s>\t0
-0.3125\tcoŀlegi plaça\t0

\\3-grams:
-0.125\t<s> plaça coŀlegi
-0.03125\tcoŀlegi plaça coŀlegi

\\end\\
"""


def log10(model: NgramModel, text: str) -> float:
    return model.score_words(text.split()) / math.log(10)


COMPRESSIONS = [gzip.compress, bz2.compress, lzma.compress]


@pytest.mark.parametrize("compress", [bytes, *COMPRESSIONS, codecs.BOM_UTF8.__add__])
def test_file_of_kenlm(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "model.arpa"
    path.write_bytes(compress(KENLM.encode()))
    model = read_arpa(path)
    assert model.order == 3
    # plaça | <s>; coŀlegi | <s> plaça; </s>: weight of "plaça coŀlegi", then </s> | coŀlegi
    assert log10(model, "plaça coŀlegi") == pytest.approx(-0.25 - 0.125 - 0.5 - 0.1875)
    # coŀlegi: weight of <s>; plaça | coŀlegi; coŀlegi | coŀlegi plaça; </s> as above
    assert log10(model, "coŀlegi plaça coŀlegi") == pytest.approx(
        -0.25 - 0.5 - 0.3125 - 0.03125 - 0.5 - 0.1875
    )
    # unknown: weight of <s>, p(<unk>); then nothing is known of it: p(</s>)
    assert log10(model, "xyz") == pytest.approx(-0.25 - 1.5 - 0.75)


def test_file_of_srilm_without_unknown_word_and_suffixes(tmp_path: Path) -> None:
    path = tmp_path / "srilm.arpa"
    # A pruned SRILM model: comment before, spaces, "ngram 1=  n", a trigram whose suffix "b c" is no bigram.
    path.write_text(
        "made by hand\n\\data\\\nngram 1=        5\nngram 2=        2\nngram 3=        1\n\n\n\\1-grams:\n"
        "-99 <s> -0.5\n-0.5 </s>\n-0.75 a -0.25\n-0.625 b -0.125\n-1 c\n\n"
        "\\2-grams:\n-0.5 <s> a -0.0625\n-0.375 a b -0.1875\n\n\\3-grams:\n-0.03125 a b c\n\n\\end\\\n"
    )
    model = read_arpa(path)
    # a | <s>; b: weight of "<s> a", b | a; c | a b; then "b c" is no context and c has no weight: p(</s>)
    assert log10(model, "a b c") == pytest.approx(-0.5 - 0.0625 - 0.375 - 0.03125 - 0.5)
    assert log10(model, "x") == pytest.approx(-0.5 + MISSING_UNKNOWN_LOG10 - 0.5)
    assert model.perplexity(["x"]).num_oov == 1


def test_words_with_a_no_break_space_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "nbsp.arpa"
    path.write_text(KENLM.replace("plaça", "plaça\u00a0nova"), encoding="utf-8")
    assert "plaça\u00a0nova" in read_arpa(path).ids


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "\\dades\\", r"arpa:\d+: \\data\\ expected"),
        ("ngram 2=4", "ngram 2=5", r"arpa:19: 5 2-grams expected, found 4"),
        ("ngram 2=4", "ngram 7=4", r"arpa:3: ngram 2=\.\.\. expected"),
        ("plaça coŀlegi\t-0.5", "plaça nou\t-0.5", r"arpa:15: .*'nou'"),
        ("-0.375\tplaça", "molt\tplaça", r"arpa:15: .*molt"),
        ("-0.375\tplaça", "nan\tplaça", r"arpa:15: .*nan is no logarithm"),
        ("-0.5\tcoŀlegi\t-0.375", "-0.5\tplaça\t-0.375", r"arpa:11: .*'plaça' occurs twice"),
        ("-0.125\t<s> plaça coŀlegi", "-0.125\t<s> plaça coŀlegi\t0", r"arpa:20: .*5 fields"),
        ("\\3-grams:", "\\4-grams:", r"arpa:19: \\3-grams: expected"),
        ("\\end\\", "", r"arpa:\d+: \\end\\ expected, found ''"),
        ("-0.25\t<s> plaça\t", "-0.25\t<s> coŀlegi\t", "the 3-gram '<s> plaça coŀlegi' are not in"),
        ("coŀlegi plaça coŀlegi", "<s> plaça coŀlegi", "the 3-gram '<s> plaça coŀlegi' occurs twice"),
    ],
)
def test_broken_files_are_refused_with_the_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "model.arpa"
    assert KENLM.count(old) == 1
    path.write_text(KENLM.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_arpa(path)


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    path.write_bytes(KENLM.encode("utf-16"))
    with pytest.raises(ValueError, match=r"arpa:1: not UTF-8 text"):
        read_arpa(path)


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_damaged_archives_end_in_a_sentence(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path, content = tmp_path / "model.arpa.gz", bytearray(compress(KENLM.encode()))
    for damaged in (content[: len(content) // 2], content[:20], content[:30] + b"xxxx" + content[34:]):
        path.write_bytes(damaged)
        with pytest.raises(FileError, match=r"^/.*model\.arpa\.gz.*(damaged or not an ARPA file|expected)"):
            read_arpa(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"mmap lm http://kheafield.com/code format version 5\n\0\0",
            "a binary language model of KenLM .*give the ARPA",
        ),
        (b"SRILM_BINARY_NGRAM_002\n", "a binary language model of SRILM; write it as text"),
        (b"PK\x03\x04rest", "a zip archive; unpack it"),
        (b"\x28\xb5\x2f\xfdrest", "compressed by zstd; unpack it"),
        (b"\x01\x02\0\0\n", ":1: a binary file; only ARPA text can be read"),
        ("\\data\\\nplaça".encode("latin-1"), ":2: not UTF-8 text .*; convert the file with iconv"),
        (None, "no such file"),
    ],
)
def test_what_is_no_arpa_file_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "model.bin"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^{path}.*{message}"):
        read_arpa(path)


def test_perplexity_adds_up_sentence_by_sentence() -> None:
    texts = zipf_texts(80)
    model = train(texts[:60])
    held_out = [*texts[60:], "mai mot1ç", ""]
    found = model.perplexity(iter(held_out))
    assert found.num_sentences == 22
    assert found.num_tokens == sum(len(text.split()) + 1 for text in held_out)
    assert found.num_oov == sum(word not in model.ids for text in held_out for word in text.split()) > 0
    assert found.log_prob == pytest.approx(sum(model.score_words(text.split()) for text in held_out))
    assert found.with_oov == pytest.approx(math.exp(-found.log_prob / found.num_tokens))
    assert found.without_oov < found.with_oov
    assert model.perplexity(texts[:60]).with_oov < model.perplexity(held_out).with_oov
    assert math.isnan(model.perplexity([]).with_oov)


def test_longer_contexts_predict_what_they_saw() -> None:
    texts = ["el gat menja peix", "el gos menja carn"] * 3
    gat_menja = ["el", "gat", "menja"]
    bigram, four = train(texts, 2), train(texts, 4)
    for model, order in ((bigram, 2), (four, 4)):
        assert model.order == order
    assert four.score_words([*gat_menja, "peix"]) > four.score_words([*gat_menja, "carn"]) + 1
    assert bigram.score_words([*gat_menja, "peix"]) == pytest.approx(bigram.score_words([*gat_menja, "carn"]))


def test_order_is_limited_by_the_longest_sentence() -> None:
    model = train(["sí", "no"], order=5)
    assert model.order == 3
    assert_sums_to_one(model)


@pytest.mark.parametrize(
    ("texts", "order", "message"),
    [
        ([], 3, "the texts have no words"),
        (["  "], 3, "the texts have no words"),
        (["a"], 0, "order of 1 or more"),
        (["a", "<s> b"], 2, "text 2"),
    ],
)
def test_bad_training_is_refused(texts: list[str], order: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(texts, order)
