"""Synthetic digits: published layout, reproducible, continued after a kill, never over a real corpus."""

import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from folder_contents import contents

from fairseq_ext.corpora import fsdd as reader
from fairseq_ext.synthetic import fsdd

pytest.importorskip("espeakng_loader", reason="needs pip install -e .[synthetic]")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("digits")
    assert fsdd.write(root, num_per_digit=3, progress=False) == 180
    return root


def test_it_has_the_published_layout(corpus: Path) -> None:
    speakers = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    names = {
        f"{digit}_{speaker}_{index}.wav" for digit in range(10) for speaker in speakers for index in range(3)
    }
    assert {path.name for path in (corpus / "recordings").iterdir()} == names
    for path in (corpus / "recordings").iterdir():
        with wave.open(str(path)) as clip:
            assert (clip.getframerate(), clip.getnchannels(), clip.getsampwidth()) == (8000, 1, 2)
            samples = np.frombuffer(clip.readframes(-1), "<i2")
        assert 0.15 <= len(samples) / 8000 <= 2.3
        assert np.abs(samples.astype(int)).max() > 300


def test_the_label_says_synthetic(corpus: Path) -> None:
    assert "synthetic" in (corpus / fsdd.LABEL_FILE).read_text(encoding="utf-8")


def test_the_reader_of_the_real_corpus_reads_it(corpus: Path) -> None:
    problems: list[str] = []
    utterances = list(reader.read(corpus, on_problem=problems.append))
    assert not problems
    assert len(utterances) == 180
    assert {reader.published_split(u) for u in utterances} == {"train", "valid", "test"}
    assert set(fsdd.SPEAKERS) == set(reader.ACCENTS)


def test_it_is_deterministic_and_a_smaller_corpus_is_a_part(corpus: Path, tmp_path: Path) -> None:
    fsdd.write(tmp_path, num_per_digit=1, speakers=["theo", "george"], progress=False)
    small, large = contents(tmp_path), contents(corpus)
    assert len(small) == 21
    assert small.items() <= large.items()


def test_takes_speakers_and_seeds_differ(corpus: Path, tmp_path: Path) -> None:
    assert len(set(contents(corpus).values())) == 181
    fsdd.write(tmp_path, num_per_digit=1, speakers=["theo"], seed=2, progress=False)
    assert not set(contents(tmp_path).values()) & set(contents(corpus).values())


def test_noise_levels_differ_as_in_the_real_corpus(corpus: Path) -> None:
    """Compare with the real speakers' dynamic range: lucas 50 dB, yweweler 36, the training speakers 17 to 30."""

    def dynamic_range_db(path: Path) -> float:
        with wave.open(str(path)) as clip:
            samples = np.frombuffer(clip.readframes(-1), "<i2").astype(np.float64)
        frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        level = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-3)
        return float(level.max() - level.min())

    ranges = {
        speaker: np.median([dynamic_range_db(p) for p in (corpus / "recordings").glob(f"*_{speaker}_*.wav")])
        for speaker in fsdd.SPEAKERS
    }
    assert ranges["lucas"] > ranges["yweweler"] + 8
    assert all(ranges[s] < ranges["yweweler"] for s in ("george", "jackson", "nicolas", "theo"))


def test_what_is_missing_or_damaged_is_written_again(corpus: Path, tmp_path: Path) -> None:
    fsdd.write(tmp_path, num_per_digit=1, speakers=["lucas"], progress=False)
    expected = contents(tmp_path)
    recordings = tmp_path / "recordings"
    (recordings / "0_lucas_0.wav").unlink()
    cut = recordings / "1_lucas_0.wav"
    cut.write_bytes(cut.read_bytes()[:-100])
    (recordings / "2_lucas_0.wav").write_bytes(b"")
    (recordings / "3_lucas_0.wav").write_bytes(b"no wav file")
    untouched = (recordings / "4_lucas_0.wav").stat().st_mtime_ns
    fsdd.write(tmp_path, num_per_digit=1, speakers=["lucas"], progress=False)
    assert contents(tmp_path) == expected
    assert (recordings / "4_lucas_0.wav").stat().st_mtime_ns == untouched


def test_a_killed_run_leaves_whole_recordings_and_is_continued(corpus: Path, tmp_path: Path) -> None:
    code = f"from fairseq_ext.synthetic import fsdd; fsdd.write({str(tmp_path)!r}, num_per_digit=3)"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("recordings/[0-9]*.wav")) and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    partial = {name: digest for name, digest in contents(tmp_path).items() if "/." not in f"/{name}"}
    assert len(partial) > 1
    assert partial.items() <= contents(corpus).items()
    fsdd.write(tmp_path, num_per_digit=3, progress=False)
    assert contents(tmp_path) == contents(corpus)


def test_a_real_corpus_is_never_written_into(tmp_path: Path) -> None:
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "0_george_0.wav").write_bytes(b"a real recording")
    with pytest.raises(ValueError, match=r"the folder has files but no SYNTHETIC\.txt of this corpus"):
        fsdd.write(tmp_path, num_per_digit=1, progress=False)
    assert list(contents(tmp_path)) == ["recordings/0_george_0.wav"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_per_digit": 0}, "num_per_digit >= 1"),
        ({"speakers": []}, "no speaker"),
        ({"speakers": ["theo", "bob"]}, "found 1 and theo, bob"),
    ],
)
def test_bad_arguments_are_refused(tmp_path: Path, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fsdd.write(tmp_path, **{"num_per_digit": 1, "progress": False, **arguments})
    assert not list(tmp_path.iterdir())


def test_another_seed_or_fewer_recordings_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    fsdd.write(tmp_path, num_per_digit=2, speakers=["theo"], progress=False)
    with pytest.raises(ValueError, match=r"SYNTHETIC.txt: the settings .* expected, .*choose another folder"):
        fsdd.write(tmp_path, num_per_digit=2, speakers=["theo"], seed=2, progress=False)
    with pytest.raises(ValueError, match=r"10 files such as 0_theo_1\.wav are not among the recordings"):
        fsdd.write(tmp_path, num_per_digit=1, speakers=["theo"], progress=False)


def test_the_command_writes_and_reports(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "tools/make_synthetic.py",
        "fsdd",
        "--out",
        str(tmp_path),
        "--num-per-digit",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout) == (0, f"60 recordings in {tmp_path}\n")
    again = subprocess.run(
        [*command, "--seed", "2"], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert again.returncode == 1
    assert "choose another folder" in again.stderr
    assert "Traceback" not in again.stderr
