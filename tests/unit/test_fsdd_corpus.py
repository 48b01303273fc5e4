"""The Free Spoken Digit Dataset: its layout as published, files that do not belong, and the download."""

import errno
import io
import re
import socket
import tarfile
import threading
import wave
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fairseq_ext.corpora import fsdd
from fairseq_ext.download import fetch
from fairseq_ext.file_errors import FileError
from fairseq_ext.files import read_lines
from fairseq_ext.splits import assert_disjoint


def wav_bytes(num_samples: int = 100, rate: int = 8000) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"\x01\x02" * num_samples)
    return buffer.getvalue()


def write_recordings(root: Path, names: list[str]) -> Path:
    folder = root / "recordings"
    folder.mkdir(parents=True)
    for length, name in enumerate(names, 100):
        (folder / name).write_bytes(wav_bytes(length))
    return root


def full_corpus_names() -> list[str]:
    return [f"{d}_{s}_{i}.wav" for s in fsdd.ACCENTS for d in range(10) for i in range(50)]


def test_reads_the_layout_from_either_folder(tmp_path: Path) -> None:
    write_recordings(tmp_path, ["7_theo_10.wav", "7_theo_9.wav", "0_lucas_0.wav"])
    utterances = list(fsdd.read(tmp_path))
    assert [u.id for u in utterances] == ["0_lucas_0", "7_theo_9", "7_theo_10"]
    first = utterances[0]
    assert (first.path, first.num_samples, first.transcript) == ("0_lucas_0.wav", 102, "zero")
    assert (first.speaker, first.accent, first.gender, first.language) == (
        "lucas",
        "DEU/German",
        "male",
        "en",
    )
    assert [fsdd.digit(u) for u in utterances] == ["0", "7", "7"]
    assert list(fsdd.read(tmp_path / "recordings")) == utterances
    assert fsdd.recordings_folder(tmp_path) == fsdd.recordings_folder(tmp_path / "recordings")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", b"", "the name is not of the form"),
        ("11_theo_1.wav", wav_bytes(), "the name is not of the form"),
        ("1_theo_01.wav", wav_bytes(), "the name is not of the form"),
        ("1_theo_1.wav", b"", "it is no wav file"),
        ("1_theo_1.wav", wav_bytes()[:30], "it is no wav file"),
        ("1_theo_1.wav", b"RIFF but not really a wav file at all", "it is no wav file"),
        ("1_theo_1.wav", wav_bytes()[:150], "200 bytes of audio expected, found a file of 150 bytes"),
        ("1_theo_1.wav", wav_bytes(0), "0 bytes of audio expected"),
        ("1_theo_1.wav", wav_bytes(rate=16000), "8000 Hz expected, found 16000 Hz"),
    ],
)
def test_what_does_not_belong_is_reported_and_skipped(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    write_recordings(tmp_path, ["7_theo_9.wav"])
    (tmp_path / "recordings" / name).write_bytes(content)
    problems: list[str] = []
    assert [u.id for u in fsdd.read(tmp_path, on_problem=problems.append)] == ["7_theo_9"]
    assert len(problems) == 1
    assert re.search(rf"{name}: .*{message}.*; skipped", problems[0])


def test_problems_are_logged_when_nobody_asks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_recordings(tmp_path, ["7_theo_9.wav", "x.wav"])
    assert len(list(fsdd.read(tmp_path))) == 1
    assert "x.wav" in caplog.text


def test_missing_corpus_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="pass the folder that holds recordings/"):
        next(fsdd.read(tmp_path))


def test_counts_of_an_incomplete_corpus_are_reported(tmp_path: Path) -> None:
    write_recordings(tmp_path, [*full_corpus_names()[1:], "3_maria_0.wav"])
    problems: list[str] = []
    utterances = list(fsdd.read(tmp_path, on_problem=problems.append, expect_complete=True))
    assert len(utterances) == 3000
    assert [p.split(": ", 1)[1] for p in problems] == [
        "speaker george, digit 0: 50 recordings expected, found 49; download the corpus again",
        "speaker maria, digit 3: 0 recordings expected, found 1; download the corpus again",
    ]


def test_published_split_of_any_corpus_with_these_names(tmp_path: Path) -> None:
    problems: list[str] = []
    root = write_recordings(tmp_path, full_corpus_names())
    utterances = list(fsdd.read(root, on_problem=problems.append, expect_complete=True))
    splits = {u.id: fsdd.published_split(u) for u in utterances}
    assert Counter(splits.values()) == {"train": 2000, "valid": 497, "test": 503}
    train = {u.speaker for u in utterances if splits[u.id] == "train"}
    assert_disjoint({"train": train, "rest": {u.speaker for u in utterances if splits[u.id] != "train"}})
    assert train == set(fsdd.TRAINING_SPEAKERS)
    assert problems == []


def test_published_split_refuses_an_unknown_speaker(tmp_path: Path) -> None:
    (utterance,) = fsdd.read(write_recordings(tmp_path, ["3_maria_0.wav"]))
    with pytest.raises(ValueError, match=r"'3_maria_0': the speaker maria is none of"):
        fsdd.published_split(utterance)


def test_real_corpus_has_the_published_counts_and_split(fsdd_root: Path) -> None:
    problems: list[str] = []
    utterances = list(fsdd.read(fsdd_root, on_problem=problems.append, expect_complete=True))
    assert problems == []
    assert len(utterances) == 3000
    assert (min(u.num_samples for u in utterances), max(u.num_samples for u in utterances)) == (1148, 18262)
    rows = [line.split("\t") for line in read_lines(fsdd_root / "speaker_independent_split.tsv")][1:]
    published = {name.removesuffix(".wav"): split for name, _, _, split in rows}
    assert {u.id: fsdd.published_split(u) for u in utterances} == published


def test_real_corpus_has_the_release_checksum(fsdd_root: Path) -> None:
    fsdd._verify(fsdd_root / "recordings", fsdd.RECORDINGS_SHA256)


class FlakyServer(ThreadingHTTPServer):
    """Serves one file; breaks off after `cut_after` bytes, `num_cuts` times; notes where each answer
    starts."""

    content = b""
    ranges = True  # whether it understands Range and tells the length
    cut_after = 1 << 30
    num_cuts = 0
    status = 200
    starts: list[int]


class _Handler(BaseHTTPRequestHandler):
    server: FlakyServer

    def do_GET(self) -> None:
        server = self.server
        if server.status != 200:
            self.send_error(server.status)
            return
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if server.ranges else None
        start = int(match[1]) if match else 0
        server.starts.append(start)
        total = len(server.content)
        if match and start >= total:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{total}")
            self.end_headers()
            return
        self.send_response(206 if match else 200)
        if match:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if server.ranges:
            self.send_header("Content-Length", str(total - start))
        self.end_headers()
        body = server.content[start:]
        if server.num_cuts > 0:
            server.num_cuts -= 1
            body = body[: server.cut_after]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[FlakyServer]:
    instance = FlakyServer(("127.0.0.1", 0), _Handler)
    instance.starts = []
    thread = threading.Thread(target=instance.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield instance
    instance.shutdown()
    thread.join()
    instance.server_close()


def url_of(server: FlakyServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/fsdd.tar.gz"


@pytest.fixture(scope="module")
def archive() -> bytes:
    """Write an archive as the release is packed, with members that must not be unpacked."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in [*(f"recordings/{n}" for n in full_corpus_names()), "README.md", "utils/0_theo_1.wav"]:
            _add(tar, f"free-spoken-digit-dataset-1.0.10/{name}", wav_bytes())
        _add(tar, "../../recordings/evil.wav", b"x")
        _add(tar, "/tmp/recordings/../evil_absolute", b"x")
        link = tarfile.TarInfo("free-spoken-digit-dataset-1.0.10/recordings/0_maria_0.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def test_download_checks_and_unpacks_only_recordings(
    tmp_path: Path, server: FlakyServer, archive: bytes
) -> None:
    server.content = archive
    seen: list[tuple[int, int | None]] = []
    dest = tmp_path / "a" / "fsdd"
    assert fsdd.download(dest, url=url_of(server), sha256=None, progress=lambda *x: seen.append(x)) == dest
    assert seen[-1] == (len(archive), len(archive))
    assert len(list(fsdd.read(dest))) == 3000
    assert sorted(p.name for p in dest.iterdir()) == ["recordings"]
    assert len(list((dest / "recordings").iterdir())) == 3000
    assert not list(tmp_path.rglob("evil*"))
    fsdd.download(dest, url="http://127.0.0.1:9/", sha256=None)  # complete: nothing is fetched again


def test_cut_off_download_resumes_where_it_broke(tmp_path: Path, server: FlakyServer, archive: bytes) -> None:
    third = len(archive) // 3
    server.content, server.cut_after, server.num_cuts = archive, third, 2
    fsdd.download(tmp_path, url=url_of(server), sha256=None, retry_wait_s=0.0)
    assert server.starts == [0, third, 2 * third]
    assert len(list(fsdd.read(tmp_path))) == 3000


def test_a_later_call_continues_what_an_earlier_one_left(tmp_path: Path, server: FlakyServer) -> None:
    server.content = bytes(range(256)) * 100
    (tmp_path / "f.part").write_bytes(server.content[:1000])
    fetch(url_of(server), tmp_path / "f")
    assert server.starts == [1000]
    assert (tmp_path / "f").read_bytes() == server.content


def test_a_part_that_is_whole_is_not_fetched_again(tmp_path: Path, server: FlakyServer) -> None:
    server.content = b"whole"
    (tmp_path / "f.part").write_bytes(b"whole")
    fetch(url_of(server), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"whole"


def test_a_part_that_is_too_long_is_thrown_away(tmp_path: Path, server: FlakyServer) -> None:
    server.content = b"short"
    (tmp_path / "f.part").write_bytes(b"longer than the file")
    fetch(url_of(server), tmp_path / "f", retry_wait_s=0.0)
    assert (tmp_path / "f").read_bytes() == b"short"


def test_host_without_range_or_length_starts_again(
    tmp_path: Path, server: FlakyServer, archive: bytes
) -> None:
    server.content, server.ranges = archive, False
    part = tmp_path / f"free-spoken-digit-dataset-{fsdd.RELEASE}.tar.gz.part"
    part.write_bytes(b"left over")
    fsdd.download(tmp_path, url=url_of(server), sha256=None)
    assert len(list(fsdd.read(tmp_path))) == 3000


def test_archive_put_there_by_hand_is_used(tmp_path: Path, archive: bytes) -> None:
    (tmp_path / f"free-spoken-digit-dataset-{fsdd.RELEASE}.tar.gz").write_bytes(archive)
    fsdd.download(tmp_path, url="http://127.0.0.1:9/", sha256=None)
    assert len(list(fsdd.read(tmp_path))) == 3000


def test_without_internet_the_error_says_which_file_goes_where(tmp_path: Path) -> None:
    with socket.socket() as free:  # a port that nobody listens on
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/fsdd.tar.gz"
        with pytest.raises(ConnectionError, match=rf"{url}: .*by hand and put it at {tmp_path}/free-spoken"):
            fsdd.download(tmp_path, url=url, retry_wait_s=0.0)


def test_a_file_that_the_host_does_not_have_is_not_asked_for_again(
    tmp_path: Path, server: FlakyServer
) -> None:
    server.status = 404
    with pytest.raises(ConnectionError, match="404"):
        fetch(url_of(server), tmp_path / "f", retry_wait_s=1000.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("garbage", r"damaged or not a tar\.gz archive"),
        ("cut", r"damaged or not a tar\.gz archive"),
        ("flipped", "problems, the first"),
        ("incomplete", "50 recordings expected, found"),
    ],
)
def test_wrong_archive_is_removed_and_nothing_is_left(
    tmp_path: Path, server: FlakyServer, archive: bytes, kind: str, message: str
) -> None:
    small = io.BytesIO()
    with tarfile.open(fileobj=small, mode="w:gz") as tar:
        _add(tar, "x/recordings/0_theo_0.wav", wav_bytes())
    flipped = bytearray(archive)
    flipped[len(archive) // 2] ^= 0xFF
    contents = {"garbage": b"<html>", "cut": archive[:-2000], "flipped": bytes(flipped)}
    server.content = {**contents, "incomplete": small.getvalue()}[kind]
    with pytest.raises(ValueError, match=message):
        fsdd.download(tmp_path, url=url_of(server), sha256=None)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_archive_that_was_there_is_moved_away_and_fetched_again(
    tmp_path: Path, server: FlakyServer, archive: bytes
) -> None:
    server.content = archive
    path = tmp_path / f"free-spoken-digit-dataset-{fsdd.RELEASE}.tar.gz"
    path.write_bytes(archive[: len(archive) // 2])
    fsdd.download(tmp_path, url=url_of(server), sha256=None)
    assert len(list(fsdd.read(tmp_path))) == 3000
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{path.name}.damaged", "recordings"]


def test_a_file_damaged_on_its_way_is_fetched_once_more(tmp_path: Path, server: FlakyServer) -> None:
    server.content = b"as sent"
    seen = []

    def check(path: Path) -> None:
        seen.append(path.read_bytes())
        if len(seen) == 1:
            raise ValueError("damaged")

    fetch(url_of(server), tmp_path / "f", check=check)
    assert (seen, server.starts) == ([b"as sent"] * 2, [0, 0])


def test_a_full_disk_is_no_fault_of_the_archive(
    tmp_path: Path, server: FlakyServer, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_bytes(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    server.content = archive
    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(FileError, match=r"\.wav: the disk is full; free some space"):
        fsdd.download(tmp_path, url=url_of(server), sha256=None)
    kept = list(tmp_path.iterdir())
    assert [path.read_bytes() for path in kept] == [archive]


def test_a_full_disk_ends_a_transfer_at_once(tmp_path: Path, server: FlakyServer) -> None:
    server.content = b"content"
    (tmp_path / "f.part").symlink_to("/dev/full")
    with pytest.raises(FileError, match=rf"{tmp_path / 'f.part'}: the disk is full"):
        fetch(url_of(server), tmp_path / "f", retry_wait_s=1000.0)


def test_other_recordings_than_the_release_are_refused(
    tmp_path: Path, server: FlakyServer, archive: bytes
) -> None:
    server.content = archive
    with pytest.raises(ValueError, match=rf"sha256 {fsdd.RECORDINGS_SHA256} expected, found .* not release"):
        fsdd.download(tmp_path, url=url_of(server))
    assert list(tmp_path.iterdir()) == []


def test_incomplete_folder_is_not_overwritten(tmp_path: Path) -> None:
    write_recordings(tmp_path, full_corpus_names()[:-1])
    with pytest.raises(ValueError, match=r"1 problems, the first: .*50 recordings expected, found 49"):
        fsdd.download(tmp_path, sha256=None)
    assert len(list((tmp_path / "recordings").iterdir())) == 2999
