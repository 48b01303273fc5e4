"""Random access to manifest rows: equal to plain reading, byte-exact, shared between processes, strict."""

import multiprocessing
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext import line_index
from fairseq_ext.line_index import AudioEntry, AudioIndex, LineIndex

UTF8_ROWS = ["plaça", "allà", "col·legi coŀlegi", "café", "niño", "", "日本語", "z"]
line_text = st.text(st.characters(exclude_characters="\n\r\ufeff", exclude_categories=["Cs"]), max_size=30)


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8"))
    return path


def write_tsv(path: Path, rows: list[str], root: str = "/corpus") -> Path:
    return write(path, "".join(line + "\n" for line in [root, *rows]))


def read_from_child(index: LineIndex, queue: "multiprocessing.Queue[list[str]]") -> None:
    queue.put([index[i] for i in reversed(range(len(index)))])


@settings(deadline=None)
@given(rows=st.lists(line_text, max_size=60), chunk_bytes=st.integers(1, 40), block_bytes=st.integers(1, 90))
def test_line_index_equals_plain_reading_for_any_piece_size(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], chunk_bytes: int, block_bytes: int
) -> None:
    path = write(tmp_path_factory.mktemp("lines") / "train.ltr", "".join(row + "\n" for row in rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_index, "_CHUNK_BYTES", chunk_bytes)
        patch.setattr(line_index, "_BLOCK_BYTES", block_bytes)
        index = LineIndex(path)
        assert [index[i] for i in range(len(index))] == rows
        assert list(index) == rows


def test_non_ascii_rows_survive_byte_for_byte(tmp_path: Path) -> None:
    path = write(tmp_path / "train.wrd", "".join(row + "\n" for row in UTF8_ROWS))
    index = LineIndex(path)
    order = np.random.default_rng(1).permutation(len(UTF8_ROWS))
    assert [index[int(i)] for i in order] == [UTF8_ROWS[i] for i in order]
    assert "".join(row + "\n" for row in index).encode() == path.read_bytes()


def test_last_line_without_line_end_and_negative_index(tmp_path: Path) -> None:
    index = LineIndex(write(tmp_path / "a.txt", "un\ndos\ntrès"))
    assert len(index) == 3
    assert (index[2], index[-1], index[-3]) == ("très", "très", "un")
    with pytest.raises(IndexError, match="there is no line 3, only 3 lines"):
        index[3]


def test_empty_file(tmp_path: Path) -> None:
    index = LineIndex(write(tmp_path / "a.txt", ""))
    assert len(index) == 0
    assert list(index) == []


def test_index_is_shared_with_forked_processes_and_pickles(tmp_path: Path) -> None:
    index = LineIndex(write(tmp_path / "a.txt", "".join(row + "\n" for row in UTF8_ROWS)))
    assert index[0] == UTF8_ROWS[0]  # the file is open before the fork
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[list[str]] = context.Queue()
    workers = [context.Process(target=read_from_child, args=(index, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    results = [queue.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join()
    assert results == [UTF8_ROWS[::-1]] * 2
    copy = pickle.loads(pickle.dumps(index))
    assert [copy[i] for i in range(len(copy))] == UTF8_ROWS


def test_file_changed_since_the_scan_is_refused(tmp_path: Path) -> None:
    index = LineIndex(write(tmp_path / "a.txt", "un\ndos\n"))
    write(tmp_path / "a.txt", "un\ndos\ntres\n")
    with pytest.raises(ValueError, match="has changed since it was indexed; restart"):
        index[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"un\ndos\r\n", r"a\.txt:2: there is a carriage return; run sed"),
        (b"\xef\xbb\xbfun\n", r"a\.txt:1: there is a byte-order mark"),
        (b"un\ndos\ncaf\xe9\n", r"a\.txt:3: it is not UTF-8"),
    ],
)
def test_line_index_refuses_text_that_others_misread(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        LineIndex(tmp_path / "a.txt")


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 10**18 - 1), min_size=1, max_size=50),
    chunk_bytes=st.integers(1, 64),
)
def test_sizes_equal_plain_parsing(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], chunk_bytes: int
) -> None:
    rows = [f"à/{i}.wav\t{size}" for i, size in enumerate(sizes)]
    path = write_tsv(tmp_path_factory.mktemp("tsv") / "train.tsv", rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_index, "_CHUNK_BYTES", chunk_bytes)
        index = AudioIndex(path)
    assert index.sizes.tolist() == sizes
    assert index.entry(len(sizes) - 1) == AudioEntry(Path(f"/corpus/à/{len(sizes) - 1}.wav"), 0, sizes[-1])


def test_audio_index_root_entries_and_segments(tmp_path: Path) -> None:
    index = AudioIndex(
        write_tsv(tmp_path / "train.tsv", ["plaça.wav\t16000", "b c.flac:800:1600\t1600"], "/dàta")
    )
    assert index.root == Path("/dàta")
    assert index.sizes.dtype == np.int32
    assert len(index) == 2
    assert index.entry(0) == AudioEntry(Path("/dàta/plaça.wav"), 0, 16000)
    assert index.entry(1) == index.entry(-1) == AudioEntry(Path("/dàta/b c.flac"), 800, 1600)
    assert pickle.loads(pickle.dumps(index)).entry(1) == index.entry(1)


def test_audio_index_without_rows(tmp_path: Path) -> None:
    index = AudioIndex(write_tsv(tmp_path / "train.tsv", []))
    assert len(index) == 0
    with pytest.raises(IndexError):
        index.entry(0)
    with pytest.raises(IndexError):
        index.entry(-1)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b.wav", "expected 2 tab-separated columns, found 1"),
        ("b.wav\t1\t2", "expected 2 tab-separated columns, found 3"),
        ("", "expected 2 tab-separated columns, found 1"),
        ("b.wav\t", "are not a path and a number of samples"),
        ("\t5", "a path and a number"),
        ("b.wav\t12x4", "are not a path and a number of samples"),
        ("b.wav\t-5", "are not a path and a number of samples"),
        ("b.wav\t1.5", "are not a path and a number of samples"),
        ("b.wav\t٣", "are not a path and a number of samples"),
        ("b.wav\t1234567890123456789", "are not a path and a number of samples"),
    ],
)
def test_bad_row_names_file_and_line(tmp_path: Path, row: str, message: str) -> None:
    path = write_tsv(tmp_path / "train.tsv", ["a.wav\t1", "à.wav\t22", row, "c.wav\t3"])
    with pytest.raises(ValueError, match=rf"train\.tsv:4: .*{message}.*; write"):
        AudioIndex(path)


def test_extra_tab_in_one_row_does_not_pay_for_a_missing_one_in_another(tmp_path: Path) -> None:
    path = write_tsv(tmp_path / "train.tsv", ["a.wav\t1", "b.wav", "c.wav\t3\t4"])
    with pytest.raises(ValueError, match=r"train\.tsv:3: expected 2 tab-separated columns, found 1"):
        AudioIndex(path)


def test_segment_with_two_lengths_is_refused(tmp_path: Path) -> None:
    index = AudioIndex(write_tsv(tmp_path / "train.tsv", ["a.wav:0:10\t11"]))
    with pytest.raises(ValueError, match=r"train\.tsv:2: expected 10 samples, found 11"):
        index.entry(0)


@pytest.mark.parametrize("content", [b"", b"\n", b"a.wav\t5\n"])
def test_missing_root_line_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "train.tsv").write_bytes(content)
    with pytest.raises(ValueError, match=r"train\.tsv:1: '.*' is no root folder"):
        AudioIndex(tmp_path / "train.tsv")


def test_index_keeps_no_text_in_memory(tmp_path: Path) -> None:
    path = write_tsv(tmp_path / "train.tsv", [f"speaker/recording_{i:06}.wav\t{i}" for i in range(20_000)])
    index = AudioIndex(path)
    held = index.sizes.nbytes + index._lines._block_starts.nbytes
    assert held < 5 * len(index)  # 4 bytes a size and a fraction of an offset
    assert held < os.path.getsize(path) / 7
