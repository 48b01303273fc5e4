"""Conversion of folders: every recording ends as FLAC or in the list of problems; runs continue where they were."""

import os
import re
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from fairseq_ext.jobs import Execution
from fairseq_ext.media import convert
from fairseq_ext.media.audio import load, probe
from fairseq_ext.media.convert import convert_folder
from fairseq_ext.media.media_files import media_files


def recordings(folder: Path) -> list[str]:
    return media_files(folder).paths


def tone(num_samples: int, rate: int) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * 300 * np.arange(num_samples) / rate)).astype(np.float32)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "veus"
    (folder / "niça").mkdir(parents=True)
    soundfile.write(folder / "a.wav", tone(8000, 8000), 8000)
    soundfile.write(folder / "niça" / "allà.OGG", tone(44100, 44100), 44100, format="OGG")
    soundfile.write(folder / "stereo.flac", np.stack([tone(16000, 16000)] * 2, axis=1), 16000)
    (folder / "broken.wav").write_bytes((folder / "a.wav").read_bytes()[:4000])
    (folder / "empty.mp3").write_bytes(b"")
    (folder / "notes.txt").write_text("not a recording")
    return folder


def test_all_become_flac_or_a_problem(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dest = tmp_path / "flac"
    result = convert_folder(source, dest, sample_rate_hz=16000, execution=Execution(workers=0))
    assert (result.num_converted, result.num_kept) == (3, 0)
    assert [path for path, _ in result.problems] == ["broken.wav", "empty.mp3"]
    assert "5/5" in capsys.readouterr().err
    assert recordings(dest) == ["a.flac", "niça/allà.flac", "stereo.flac"]
    for name in recordings(dest):
        info = probe(dest / name)
        assert (info.sample_rate_hz, info.num_samples, info.num_channels) == (16000, 16000, 1)
    rows = [line.split("\t") for line in (dest / "problems.tsv").read_text(encoding="utf-8").splitlines()]
    assert [row[0] for row in rows] == ["broken.wav", "empty.mp3"]
    for row, problem in zip(
        rows, (r"expected .*, found .*; the file was cut off", "the file is empty"), strict=True
    ):
        assert re.search(problem, row[1])


def test_several_processes_do_the_same(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i in range(3):
        soundfile.write(tmp_path / "in" / f"{i}.wav", tone(400 + i, 16000), 16000)
    (tmp_path / "in" / "empty.mp3").write_bytes(b"")
    result = convert_folder(
        tmp_path / "in", tmp_path / "out", sample_rate_hz=16000, execution=Execution(workers=2)
    )
    assert (result.num_converted, [path for path, _ in result.problems]) == (3, ["empty.mp3"])
    assert [probe(tmp_path / "out" / f"{i}.flac").num_samples for i in range(3)] == [400, 401, 402]


def test_the_sound_is_that_of_load(source: Path, tmp_path: Path) -> None:
    convert_folder(source, tmp_path / "flac", sample_rate_hz=16000)
    np.testing.assert_allclose(
        load(tmp_path / "flac" / "a.flac", sample_rate_hz=16000),
        load(source / "a.wav", sample_rate_hz=16000),
        atol=1 / 32768,
    )


def test_a_second_run_keeps_what_is_there_and_tries_the_rest(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "flac"
    convert_folder(source, dest, sample_rate_hz=16000)
    before = (dest / "a.flac").stat().st_mtime_ns
    (dest / "stereo.flac").unlink()
    soundfile.write(source / "broken.wav", tone(800, 8000), 8000)
    result = convert_folder(source, dest, sample_rate_hz=16000)
    assert (result.num_converted, result.num_kept) == (2, 2)
    assert [path for path, _ in result.problems] == ["empty.mp3"]
    assert (dest / "a.flac").stat().st_mtime_ns == before
    assert [p for p in dest.rglob("*") if p.name.startswith(".")] == []


def test_torch_keeps_its_threads(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    seen: list[int] = []
    try:
        monkeypatch.setattr(convert, "convert_file", lambda *_: seen.append(torch.get_num_threads()) or {})
        convert_folder(source, tmp_path / "flac", sample_rate_hz=16000)
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_too_loud_is_scaled_as_a_whole_and_not_clipped(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    loud = 3 * tone(800, 8000)
    soundfile.write(tmp_path / "in" / "loud.wav", loud, 8000, subtype="FLOAT")
    result = convert_folder(tmp_path / "in", tmp_path / "out", sample_rate_hz=8000)
    written = load(tmp_path / "out" / "loud.flac", sample_rate_hz=8000)
    np.testing.assert_allclose(written, loud / loud.max(), atol=1e-4)
    assert result.notes[0][1]["beyond_full_scale"] == np.count_nonzero(np.abs(loud) > 1)


def test_names_that_are_not_text_are_problems(source: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    whole = (source / "a.wav").read_bytes()
    for name, content in ((b"caf\xe9.wav", whole), (b"tard\xe0.wav", b""), ("cafè.wav".encode(), whole)):
        (tmp_path / "in" / os.fsdecode(name)).write_bytes(content)
    result = convert_folder(tmp_path / "in", tmp_path / "out", sample_rate_hz=16000)
    assert (result.num_converted, len(result.problems)) == (1, 2)
    rows = (tmp_path / "out" / "problems.tsv").read_text(encoding="utf-8").splitlines()
    assert [row.split("\t")[0] for row in rows] == [r"caf\xe9.wav", r"tard\xe0.wav"]
    assert all("its name is not UTF-8" in row for row in rows)


def test_command_says_what_is_wrong(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "page.mp3").write_text("<html>")
    tool = Path(__file__).parents[2] / "tools" / "prepare_audio.py"
    cases = {
        "expected 1000 to 768000, found 0; 16000": [source, tmp_path / "a", "--sample-rate-hz", "0"],
        "this is a file; choose a folder to write to": [source, tmp_path / "file"],
        "none of the recordings can be read": [tmp_path / "damaged", tmp_path / "b"],
        "no recordings found; pass": [tmp_path / "gone", tmp_path / "c"],
    }
    (tmp_path / "file").write_text("x")
    for message, (recordings_of, out, *more) in cases.items():
        arguments = [str(tool), "--source", str(recordings_of), "--out", str(out), *more]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit, match=f"prepare_audio.py: .*{message}"):
            runpy.run_path(str(tool), run_name="__main__")


def test_two_recordings_of_one_name(source: Path, tmp_path: Path) -> None:
    (source / "a.mp3").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"a\.mp3 and a\.wav would both become a\.flac; rename"):
        convert_folder(source, tmp_path / "flac", sample_rate_hz=16000)


def test_nothing_to_do_and_a_destination_within_the_source(source: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="no recordings found"):
        convert_folder(tmp_path / "nothing", tmp_path / "flac", sample_rate_hz=16000)
    with pytest.raises(ValueError, match="a folder outside"):
        convert_folder(source, source / "flac", sample_rate_hz=16000)


def test_flac_files_without_a_record_of_the_conversion_are_kept(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "flac"
    convert_folder(source, dest, sample_rate_hz=16000)
    shutil.rmtree(dest / "jobs")
    before = (dest / "a.flac").stat().st_mtime_ns
    (dest / "stereo.flac").unlink()
    result = convert_folder(source, dest, sample_rate_hz=16000)
    assert (result.num_converted, result.num_kept, len(result.problems)) == (1, 2, 2)
    assert (dest / "a.flac").stat().st_mtime_ns == before


def test_a_recording_that_was_replaced_is_converted_again(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "flac"
    convert_folder(source, dest, sample_rate_hz=16000)
    soundfile.write(source / "a.wav", tone(4000, 8000), 8000)
    soundfile.write(source / "new.wav", tone(800, 8000), 8000)
    (source / "broken.wav").unlink()
    result = convert_folder(source, dest, sample_rate_hz=16000)
    assert (result.num_converted, result.num_kept) == (2, 2)
    assert [path for path, _ in result.problems] == ["empty.mp3"]
    assert probe(dest / "a.flac").num_samples == 8000


def test_another_rate_than_before_is_refused(source: Path, tmp_path: Path) -> None:
    convert_folder(source, tmp_path / "flac", sample_rate_hz=16000)
    with pytest.raises(ValueError, match="sample_rate_hz = 16000, found 8000"):
        convert_folder(source, tmp_path / "flac", sample_rate_hz=8000)


def test_shards_share_the_recordings(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i in range(20):
        soundfile.write(tmp_path / "in" / f"{i:02d}.wav", tone(400 + i, 16000), 16000)
    (tmp_path / "in" / "empty.mp3").write_bytes(b"")
    shards = [Execution(workers=0, progress=False, shards=2, shard_id=i) for i in (0, 1)]
    first, second = (
        convert_folder(tmp_path / "in", tmp_path / "out", sample_rate_hz=16000, execution=shard)
        for shard in shards
    )
    assert first.num_missing == 5
    assert (second.num_missing, second.num_converted, second.num_kept) == (0, 4, 16)
    assert [path for path, _ in second.problems] == ["empty.mp3"]


def test_errors_of_the_conversion_are_problems_and_tried_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such codec")

    monkeypatch.setattr(convert, "convert_file", fail)
    result = convert_folder(source, tmp_path / "flac", sample_rate_hz=16000)
    assert (result.num_converted, result.num_failed, len(result.problems)) == (0, 5, 5)
    assert all("no such codec" in reason for _, reason in result.problems)
    monkeypatch.undo()
    result = convert_folder(source, tmp_path / "flac", sample_rate_hz=16000)
    assert (result.num_converted, result.num_failed, len(result.problems)) == (3, 0, 2)


def test_names_that_no_table_can_hold_are_escaped(source: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    names = [" a.wav", "b\tc.wav", "d\u00a0e.wav", "f\n.wav"]
    for name in names:
        (tmp_path / "in" / name).write_bytes((source / "a.wav").read_bytes())
    (tmp_path / "in" / "x\ty.wav").write_bytes(b"")
    result = convert_folder(tmp_path / "in", tmp_path / "out", sample_rate_hz=16000)
    assert (result.num_converted, [path for path, _ in result.problems]) == (4, [r"x\ty.wav"])
    assert recordings(tmp_path / "out") == [name.replace(".wav", ".flac") for name in names]
    assert convert_folder(tmp_path / "in", tmp_path / "out", sample_rate_hz=16000).num_kept == 4


def test_an_interrupted_conversion_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    for i in range(20):
        soundfile.write(tmp_path / "in" / f"{i:02d}.wav", tone(400, 16000), 16000)
    whole, converted = convert.convert_file, list[str]()

    def interrupted(source: Path, target: Path, sample_rate_hz: int) -> None:
        if len(converted) == 18:
            raise KeyboardInterrupt
        converted.append(source.name)
        whole(source, target, sample_rate_hz)

    monkeypatch.setattr(convert, "convert_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert_folder(tmp_path / "in", tmp_path / "out", sample_rate_hz=16000)
    monkeypatch.undo()
    (tmp_path / "out" / "17.flac").unlink()  # its outcome is only in the journal of the interrupted attempt
    result = convert_folder(tmp_path / "in", tmp_path / "out", sample_rate_hz=16000)
    assert (result.num_converted, result.num_kept) == (3, 17)
    assert len(recordings(tmp_path / "out")) == 20
