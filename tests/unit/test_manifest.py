"""Manifests: every value survives the round trip byte for byte; bad rows are refused with file and line."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.dictionary import read_dictionary, write_dictionary
from fairseq_ext.files import atomic_path, atomic_write
from fairseq_ext.line_index import AudioIndex, LineIndex
from fairseq_ext.manifest import Utterance, read_labels, read_manifest, read_root, write_manifest

CATALAN = [
    Utterance(
        "plaça_1",
        "gravació/plaça.wav",
        16000,
        transcript="la plaça del poble",
        speaker="Núria",
        accent="valencià",
    ),
    Utterance(
        "allà_2", "allà.flac", 8000, transcript="és allà, al coŀlegi col·legi", speaker="Ítalo", gender="dona"
    ),
    Utterance(
        "niño_3",
        "niño.ogg",
        1,
        num_frames=7,
        transcript="über naïve señor œuvre",
        language="ca",
        emotion="por",
    ),
    Utterance("日_4", "長い.wav", 400, transcript="mil ", split="train", start_s=0.1, end_s=0.15),
]

text = st.text(
    st.characters(exclude_characters="\t\n\r\0\ufeff", exclude_categories=["Cs"]), min_size=1, max_size=12
)
path_text = text.filter(lambda t: t == t.strip() and not t.startswith("/") and ":" not in t)
seconds = st.floats(0, 1e5, allow_nan=False)
utterances_strategy = st.lists(
    st.builds(
        Utterance,
        id=text,
        path=path_text,
        num_samples=st.integers(1, 2**40),
        num_frames=st.none() | st.integers(0, 2**40),
        transcript=st.none() | text,
        speaker=st.none() | text,
        accent=st.none() | text,
        start_s=st.none() | seconds,
        end_s=st.none() | seconds,
    ),
    unique_by=lambda u: u.id,
    max_size=8,
)


def transcript(utterance: Utterance) -> str:
    return utterance.transcript or ""


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(deadline=None)
@given(utterances=utterances_strategy)
def test_every_value_survives_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, utterances: list[Utterance]
) -> None:
    folder = tmp_path_factory.mktemp("manifest")
    labels = {"wrd": transcript}
    count = write_manifest(folder, "train", utterances, root="/c", labels=labels, sample_rate_hz=16000)
    assert count == len(utterances)
    assert list(read_manifest(folder, "train")) == utterances
    assert list(read_labels(folder, "train", "wrd")) == [transcript(u) for u in utterances]
    index = AudioIndex(folder / "train.tsv")
    assert index.sizes.tolist() == [u.num_samples for u in utterances]
    assert [index.entry(i).path for i in range(len(index))] == [Path("/c") / u.path for u in utterances]


def test_non_ascii_text_is_the_same_bytes_for_every_reader(tmp_path: Path) -> None:
    write_manifest(tmp_path, "train", CATALAN, root="/dàta", labels={"wrd": transcript}, sample_rate_hz=16000)
    expected = [transcript(u) for u in CATALAN]
    assert (tmp_path / "train.wrd").read_bytes() == "".join(t + "\n" for t in expected).encode("utf-8")
    assert list(read_manifest(tmp_path, "train")) == CATALAN
    assert list(read_labels(tmp_path, "train", "wrd")) == expected
    index = LineIndex(tmp_path / "train.wrd")
    assert [index[i] for i in (3, 0, 2, 1)] == [expected[i] for i in (3, 0, 2, 1)]
    audio = AudioIndex(tmp_path / "train.tsv")
    assert audio.root == read_root(tmp_path, "train") == Path("/dàta")
    assert audio.entry(0).path == Path("/dàta/gravació/plaça.wav")
    assert (audio.entry(3).start_sample, audio.entry(3).num_samples) == (1600, 400)


def test_tsv_is_what_stock_fairseq_reads(tmp_path: Path) -> None:
    write_manifest(
        tmp_path, "train", CATALAN[:2], root=tmp_path / "corpus" / "..", labels={"wrd": transcript}
    )
    assert (tmp_path / "train.tsv").read_text(encoding="utf-8") == (
        f"{tmp_path}\ngravació/plaça.wav\t16000\nallà.flac\t8000\n"
    )


def test_manifest_without_sidecar_takes_the_first_column_as_id(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("/c\na.wav\t5\nb.wav:3:4\t4\n")
    assert list(read_manifest(tmp_path, "train")) == [
        Utterance("a.wav", "a.wav", 5),
        Utterance("b.wav:3:4", "b.wav", 4),
    ]


def test_writer_and_reader_stream(tmp_path: Path) -> None:
    seen: list[int] = []

    def endless() -> Iterator[Utterance]:
        for i in range(1000):
            seen.append(i)
            yield Utterance(str(i), f"{i}.wav", 1)

    write_manifest(tmp_path, "train", endless(), root="/c", labels={"n": lambda u: str(len(seen))})
    assert list(read_labels(tmp_path, "train", "n")) == [str(i + 1) for i in range(1000)]  # one row at a time
    assert next(read_manifest(tmp_path, "train")).id == "0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "a\tb"}, "the id 'a.{1,2}tb' has tabs"),
        ({"id": "a\nb"}, "the id .* has tabs, line ends"),
        ({"id": ""}, "the id is empty"),
        ({"id": "same"}, r"train\.meta\.tsv:3: the id 'same' occurs twice \(first on line 2\)"),
        ({"path": "a\tb.wav"}, "the path .*tabs, line ends or outer spaces"),
        ({"path": "a\nb.wav"}, "the path .* tabs"),
        ({"path": "a.wav "}, "outer spaces"),
        ({"path": "caf\udce9.wav"}, "not UTF-8"),
        ({"path": ""}, "path"),
        ({"path": "/abs.wav"}, "not relative to the root"),
        ({"path": "a.wav:5:6"}, "would read as a segment"),
        ({"num_samples": 0}, "its length is 0 samples"),
        ({"speaker": "x\ty"}, "the speaker .* has tabs"),
        ({"transcript": "two\r\nlines"}, "the transcript .* has tabs, line ends"),
        ({"transcript": "\ufeffbon dia"}, "the transcript .* has tabs, line ends or non-UTF-8"),
        ({"start_s": 1.5}, "pass sample_rate_hz="),
    ],
)
def test_bad_utterance_is_refused_and_nothing_changes(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    labels = {"wrd": transcript}
    write_manifest(tmp_path, "train", CATALAN[:2], root="/old", labels=labels)
    before = files_of(tmp_path)
    good = Utterance("same", "a.wav", 10, transcript="x")
    with pytest.raises(ValueError, match=message):
        write_manifest(
            tmp_path, "train", [good, replace(good, **{"id": "b", **change})], root="/c", labels=labels
        )
    assert files_of(tmp_path) == before


def test_label_of_two_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'plaça_1': the wrd 'a.nb' is not one line of plain UTF-8"):
        write_manifest(tmp_path, "train", CATALAN[:1], root="/c", labels={"wrd": lambda u: "a\nb"})
    assert files_of(tmp_path) == {}


def test_label_may_not_take_the_name_of_the_tsv(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no file suffix, or is tsv"):
        write_manifest(tmp_path, "train", [], root="/c", labels={"meta.tsv": transcript})


def test_exception_of_the_source_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[Utterance]:
        yield CATALAN[0]
        raise RuntimeError("disk gone")

    with pytest.raises(RuntimeError, match="disk gone"):
        write_manifest(tmp_path, "train", broken(), root="/c")
    assert files_of(tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.tsv", b"/c\na.wav\n", r"train\.tsv:2: expected 2 tab-separated columns, found 1; write"),
        ("train.tsv", b"/c\na.wav\t1\t2\n", r"train\.tsv:2: expected 2 tab-separated columns, found 3"),
        ("train.tsv", b"/c\na.wav\tx\n", r"train\.tsv:2: 'x' is no number of samples"),
        ("train.tsv", b"/c\na.wav\t-1\n", r"train\.tsv:2: '-1' is no number of samples"),
        ("train.tsv", b"/c\r\na.wav\t1\r\n", r"train\.tsv:1: .*carriage return; run sed"),
        ("train.tsv", b"\xef\xbb\xbf/c\na.wav\t1\n", r"train\.tsv:1: .*byte-order mark"),
        ("train.tsv", b"/c\n\xe0.wav\t1\n", r"train\.tsv:2: it is not UTF-8"),
        ("train.tsv", b"", r"train\.tsv:1: '.*' is no root folder"),
        ("train.tsv", b"/c\n", r"train\.tsv: it has only 0 rows, fewer than train\.meta\.tsv"),
        (
            "train.tsv",
            b"/c\na\t1\nb\t1\nc\t1\n",
            r"train\.meta\.tsv: it has only 2 rows, fewer than train\.tsv",
        ),
        ("train.meta.tsv", b"id\tsex\n", r"train\.meta\.tsv:1: expected the header"),
    ],
)
def test_bad_file_names_file_and_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    write_manifest(tmp_path, "train", CATALAN[:2], root="/c")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(read_manifest(tmp_path, "train"))


def test_bad_sidecar_rows(tmp_path: Path) -> None:
    write_manifest(tmp_path, "train", CATALAN[:2], root="/c")
    sidecar = tmp_path / "train.meta.tsv"
    header, first, second = sidecar.read_text(encoding="utf-8").splitlines()
    sidecar.write_text(f"{header}\n{first}\n{first}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"train\.meta\.tsv:3: the id 'plaça_1' occurs twice"):
        list(read_manifest(tmp_path, "train"))
    sidecar.write_text(f"{header}\n{first}\n{second}\t\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"train\.meta\.tsv:3: expected 11 tab-separated columns, found 12"):
        list(read_manifest(tmp_path, "train"))
    broken = second.replace("allà_2\t", "allà_2\tmany")
    sidecar.write_text(f"{header}\n{first}\n{broken}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"train\.meta\.tsv:3: a cell is no number"):
        list(read_manifest(tmp_path, "train"))


def test_atomic_write_shows_the_old_content_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    with atomic_write(path) as file:
        file.write("plaça\n")
        assert not path.exists()
    assert path.read_bytes() == "plaça\n".encode()
    with pytest.raises(UnicodeEncodeError), atomic_write(path) as file:
        file.write("half\ud800")
    assert files_of(path.parent) == {"file.txt": "plaça\n".encode()}


def test_atomic_path_for_binary_writers(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(b"\x00\xff")
    assert files_of(tmp_path) == {"a.bin": b"\x00\xff"}
    assert os.stat(tmp_path / "a.bin").st_mode & 0o444 == 0o444 & ~_umask()  # readable like any other file


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


symbol = text.filter(lambda t: t.split() == [t] and t not in {"<s>", "<pad>", "</s>", "<unk>"})


@settings(deadline=None)
@given(counts=st.dictionaries(symbol, st.integers(0, 10**12), max_size=8))
def test_dictionary_keeps_symbols_and_order(
    tmp_path_factory: pytest.TempPathFactory, counts: dict[str, int]
) -> None:
    path = tmp_path_factory.mktemp("dict") / "dict.ltr.txt"
    write_dictionary(path, counts)
    assert read_dictionary(path) == list(counts)
    assert path.read_text(encoding="utf-8") == "".join(f"{s} {n}\n" for s, n in counts.items())


@pytest.mark.parametrize("bad", ["a b", "", " ", "<unk>", "a\n", "\u00a0", "\ufeffa"])
def test_dictionary_refuses_what_fairseq_would_split(tmp_path: Path, bad: str) -> None:
    with pytest.raises(ValueError, match=r"dict\.txt: the symbol .* has spaces"):
        write_dictionary(tmp_path / "dict.txt", {"à": 1, bad: 2})
    assert files_of(tmp_path) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1\nb\n", "dict.txt:2: 'b' is not of the form `symbol count`"),
        ("à 1\nà 2\n", "dict.txt:2: the symbol 'à' occurs twice"),
    ],
)
def test_bad_dictionary_names_the_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "dict.txt").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_dictionary(tmp_path / "dict.txt")
