"""Errors of files: each kind ends in one sentence with the name of the file, whatever reads or writes it."""

import errno
import gzip
import io
import json
import lzma
import os
import struct
import tarfile
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fairseq_ext.file_errors import FileError, reading, writing
from fairseq_ext.jobs.errors import is_out_of_memory, raise_if_disk_full
from fairseq_ext.jobs.journal import StorageError


def load_npz(path: Path) -> None:
    with np.load(path) as arrays:
        arrays["a"], arrays["b"]


def read_gzip(path: Path) -> None:
    with gzip.open(path) as file:
        file.read()


def read_tar(path: Path) -> None:
    with tarfile.open(path, "r:gz") as tar:
        tar.getmembers()


def read_wav(path: Path) -> None:
    with wave.open(str(path)) as file:
        file.getparams()


def npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, a=np.arange(500) % 7, b=np.zeros(3))
    return file.getvalue()


GZIP = gzip.compress(bytes(range(200)) * 20)
READERS: list[tuple[str, Callable[[Path], object], bytes]] = [
    ("an npz file", load_npz, npz()),
    ("a gzip file", read_gzip, GZIP),
    ("an archive", read_tar, GZIP),
    ("an xz file", lambda path: lzma.decompress(path.read_bytes()), lzma.compress(b"abc" * 100)),
    ("JSON", lambda path: json.loads(path.read_text(encoding="utf-8")), json.dumps({"a": "é" * 20}).encode()),
    ("a wav file", read_wav, b"RIFF\x00\x00\x00\x00WAVEfmt "),
    ("a header", lambda path: struct.unpack("<3I", path.read_bytes()), b"\x00" * 11),
    ("a zip archive", lambda path: zipfile.ZipFile(path).testzip(), b"PK\x03\x04" + b"\x00" * 60),
]  # fmt: skip


def damaged(content: bytes) -> list[bytes]:
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    return [b"", content[: len(content) * 2 // 3], bytes(flipped), b"\xff" + content[1:], b"<html>404</html>"]


@pytest.mark.parametrize(("what", "read", "content"), READERS, ids=[reader[0] for reader in READERS])
def test_damage_is_named_with_the_file(
    what: str, read: Callable[[Path], object], content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "some file"
    messages = []
    for found in damaged(content):
        path.write_bytes(found)
        try:
            with reading(path, what, advice="get it again"):
                read(path)
        except FileError as error:
            messages.append(str(error))
    assert len(messages) >= 4  # a wav or JSON file with a flipped byte may still be one
    assert all(text.startswith(f"{path}: damaged or not {what} (") for text in messages)
    assert all(text.endswith("); get it again") for text in messages)


def test_an_npz_file_without_an_entry(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.zeros(3))
    message = r"a\.npz: damaged or not an npz file \(no entry 'b"
    with pytest.raises(FileError, match=message), reading(path, "an npz file"):
        load_npz(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads and writes everything")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch(mode=0)
    with pytest.raises(FileError, match=f"^{path}: no permission to read it; "), reading(path):
        path.read_bytes()
    with pytest.raises(FileError, match=f"^{path}: no permission to write it; "), writing(path):
        path.write_bytes(b"")


def test_wrong_paths(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, message in (
        (tmp_path, " is a folder, an ARPA file is needed; give a file in it"),
        (tmp_path / "none", ": no such file or folder; check the path"),
        (tmp_path / "file" / "x", ": a part of this path is a file, not a folder; check the path"),
        (tmp_path / ("x" * 300), ": the name is too long for this file system; give a shorter one"),
    ):
        with pytest.raises(FileError) as caught, reading(path, "an ARPA file"):
            path.read_bytes()
        assert str(caught.value) == f"{path}{message}"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_is_named_and_stays_recognisable(number: int, tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught, writing(tmp_path / "a.npz"):
        raise OSError(number, os.strerror(number))
    assert str(caught.value).startswith(f"{tmp_path / 'a.npz'}: the disk ")
    with pytest.raises(StorageError):
        raise_if_disk_full(caught.value)


def test_a_temporary_file_is_named_by_the_file_that_it_becomes(tmp_path: Path) -> None:
    temporary = str(tmp_path / ".a.npz.0123.tmp")
    with (
        pytest.raises(FileError, match=f"^{tmp_path / 'a.npz'}: the disk is full"),
        writing(tmp_path / "a.npz"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device", temporary)
    other = str(tmp_path / "b.npz")
    with pytest.raises(FileError, match=f"^{other}: no permission"), writing(tmp_path / "a.npz"):
        raise PermissionError(errno.EACCES, "Permission denied", other)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    with (
        pytest.raises(FileError, match=r"a\.tsv: UTF-8 cannot hold '\\udcff'; rename the file"),
        writing(path),
    ):
        path.write_text("b\udcff.wav", encoding="utf-8")


def test_what_is_not_about_the_file_passes(tmp_path: Path) -> None:
    for error in (
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        ConnectionError("no host"),
        FileError("b.wav: cut off"),
        ValueError(f"{tmp_path}:3: 2 columns"),  # the file is named already
        TypeError("a defect"),
    ):
        with pytest.raises(type(error)) as caught, reading(tmp_path):
            raise error
        assert caught.value is error


def test_out_of_memory_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught, reading(tmp_path):
        raise RuntimeError("CUDA out of memory")
    assert not isinstance(caught.value, FileError)
    assert is_out_of_memory(caught.value)
