"""MP3: its length is counted where it is not stated; every type of damage is found and described."""

import re
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from fairseq_ext.media.audio import AudioError, load, probe
from fairseq_ext.media.convert import convert_folder
from fairseq_ext.media.mp3 import tag_end

RATE = 32_000
FRAME = 1152
JUNK = np.random.default_rng(1).bytes(60_000)
ID3 = b"ID3\x04\x00\x00" + bytes([0, 0, 1, 0]) + bytes(128)
APE = b"APETAGEX" + struct.pack("<IIII", 2000, 932, 1, 0xA0000000) + bytes(8 + 900) + bytes(32)


def encode(path: Path, kbit: int, *, index: bool = False, rate: int = RATE) -> bytes:
    """Write 3 s of a gliding tone, with or without the frame that states the length."""
    time_s = np.arange(3 * rate) / rate
    sound = (0.3 * np.sin(2 * np.pi * (200 + 100 * time_s) * time_s)).astype(np.float32)
    options = {} if index else {"write_xing": "0", "id3v2_version": "0"}
    with av.open(str(path), "w", options=options) as container:
        stream: Any = container.add_stream("libmp3lame", rate=rate)
        stream.layout, stream.bit_rate = "mono", 1000 * kbit
        for start in range(0, len(sound), FRAME):
            frame: Any = av.AudioFrame.from_ndarray(
                sound[None, start : start + FRAME], format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[int, bytes]:
    """Return files without an index, by bit rate."""
    folder = tmp_path_factory.mktemp("plain")
    return {kbit: encode(folder / f"{kbit}.mp3", kbit) for kbit in (32, 64, 128)}


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return encode(tmp_path_factory.mktemp("indexed") / "a.mp3", 64, index=True)


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
def test_length_is_counted_where_it_is_not_stated(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.mp3"
    encode(path, 56, rate=rate)
    counted = probe(path).num_samples
    assert 3 * rate <= counted < 3 * rate + 4 * FRAME
    assert counted == len(load(path, sample_rate_hz=rate))


@pytest.mark.parametrize("order", [(32, 128), (128, 32), (64, 128, 32)])
def test_variable_bit_rate_without_an_index_is_read_to_its_end(
    tmp_path: Path, plain: dict[int, bytes], order: tuple[int, ...]
) -> None:
    path = tmp_path / "variable.mp3"
    path.write_bytes(b"".join(plain[kbit] for kbit in order))
    whole = load(path, sample_rate_hz=RATE)
    (tmp_path / "one.mp3").write_bytes(plain[64])
    assert len(whole) == len(order) * len(load(tmp_path / "one.mp3", sample_rate_hz=RATE))
    assert probe(path).num_samples == len(whole)
    for start, size in ((0, 500), (100_000, 30_000), (len(whole) - 700, 700)):
        stretch = load(path, sample_rate_hz=RATE, start_sample=start, num_samples=size)
        np.testing.assert_allclose(stretch, whole[start : start + size], atol=1e-6)


@pytest.mark.parametrize("end", [b"", b"TAG" + bytes(125), APE, ID3, bytes(300)])
def test_tags_and_padding_at_the_end_are_no_damage(
    tmp_path: Path, plain: dict[int, bytes], indexed: bytes, end: bytes
) -> None:
    for content in (plain[64], indexed):
        paths = [tmp_path / "bare.mp3", tmp_path / "tagged.mp3"]
        paths[0].write_bytes(content)
        paths[1].write_bytes(content + end)
        bare, tagged = (load(path, sample_rate_hz=RATE) for path in paths)
        np.testing.assert_array_equal(bare, tagged)


# name -> (what becomes of a whole file, what is said without an index, with one)
DAMAGE: dict[str, tuple[Any, str, str]] = {
    "cut": (lambda b: b[: len(b) // 2], "cut off after 1.5. s", r"bytes of audio .*, found \d+; .* was cut off"),
    "cut a little": (lambda b: b[:-40], "cut off after 3.0. s", "cut off after 3.[01]. s"),
    "noise at the end": (lambda b: b[:12_000] + JUNK[:12_000], "break after 1.5. s", "break after 1.[56]. s"),
    "zeros at the end": (lambda b: b[:12_000] + bytes(12_000), "break after 1.5. s", "break after 1.[56]. s"),
    "noise within": (lambda b: b[:9000] + JUNK[:3000] + b[12_000:], "break after 1.1. s", "break after 1.1. s"),
    "lost within": (lambda b: b[:9000] + b[12_345:], "break after 1.1. s", r"bytes of audio .*, found \d+"),
    "page at the end": (lambda b: b[:9000] + b"<html>502</html>" * 200, "break after 1.1. s", "bytes of audio"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_reported_with_its_position(
    tmp_path: Path, plain: dict[int, bytes], indexed: bytes, kind: str
) -> None:
    damage, *said = DAMAGE[kind]
    for content, message in zip((plain[64], indexed), said, strict=True):
        path = tmp_path / "veu_à.mp3"
        path.write_bytes(damage(content))
        with pytest.raises(AudioError, match=rf"veu_à\.mp3: .*{message}") as error:
            load(path, sample_rate_hz=16_000)
        assert "internal error" not in str(error.value)


def test_recordings_that_were_joined_behind_an_index_are_not_shortened_silently(
    tmp_path: Path, plain: dict[int, bytes], indexed: bytes
) -> None:
    path = tmp_path / "joined.mp3"
    for more in (indexed, b"TAG" + bytes(125) + indexed, plain[32]):
        path.write_bytes(indexed + more)
        with pytest.raises(AudioError, match=r"joined\.mp3: more audio follows the \d+ bytes"):
            probe(path)


OTHERS = {
    "page.mp3": ("<!DOCTYPE html>\n<html>pàgina</html>".encode(), "text, '<!DOCTYPE html>'"),
    "title.mp3": (ID3, r"an ID3 tag \(title, cover\) with no audio behind it"),
    "cover.mp3": (ID3[:60], "an ID3 tag"),
    "zeros.mp3": (bytes(5000), "5000 bytes that begin with zeros alone"),
    "noise.mp3": (JUNK[:5000], "5000 bytes of an unknown format"),
    "nothing.mp3": (b"", "the file is empty"),
}


def test_every_problem_is_listed_in_plain_words(tmp_path: Path, indexed: bytes) -> None:
    (tmp_path / "in").mkdir()
    for name, (content, _) in OTHERS.items():
        (tmp_path / "in" / name).write_bytes(content)
    (tmp_path / "in" / "whole.mp3").write_bytes(indexed)
    result = convert_folder(tmp_path / "in", tmp_path / "out", sample_rate_hz=16_000)
    assert (result.num_converted, len(result.problems)) == (1, len(OTHERS))
    for name, problem in result.problems:
        assert re.search(OTHERS[name][1], problem)
        assert "Errno" not in problem
        assert "libsndfile" not in problem


def test_tags_are_skipped_by_their_size() -> None:
    assert tag_end(ID3 + b"x", 0) == 138
    assert tag_end(b"xx" + APE, 2) == 2 + len(APE)
    assert tag_end(b"TAG", 0) == 128
    assert tag_end(b"\xff\xfb", 0) == 0
    assert tag_end(b"ID3", 0) == 0
