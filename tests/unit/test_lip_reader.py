"""Lip readers: from a checkpoint's path and a raw video to words with times; what cannot be read is said."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import torch
from small_lip_reader import SYMBOLS, write_lip_reader

from fairseq_ext.commands import lipread, score_recognition
from fairseq_ext.decoding.joint import JointConfig, JointSearch
from fairseq_ext.decoding.subtitles import TimedWord
from fairseq_ext.inference import mouth_track
from fairseq_ext.inference.lip_reader import (
    LipReader,
    LipText,
    holds_lip_reader,
    is_lip_reader,
    load_lip_reader,
)
from fairseq_ext.inference.mouth_clip import MouthClip, video_of_row
from fairseq_ext.inference.mouth_track import MouthTrack
from fairseq_ext.inference.side_by_side import write_side_by_side
from fairseq_ext.line_index import AudioEntry
from fairseq_ext.media.mouth.frames import MouthFrames, decode_frames
from fairseq_ext.media.mouth.table import ClipRow
from fairseq_ext.media.mouth.writer import GreyWriter
from fairseq_ext.media.video import VideoError

GRID = Path(__file__).resolve().parents[3] / "shared" / "data" / "grid"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Write what fairseq stores of a training; the weights name something other than blanks."""
    return write_lip_reader(tmp_path / "lips.pt")


def write_clip(path: Path, num_frames: int) -> np.ndarray:
    """Write a clip of moving noise; return its pictures as they decode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(1)
    blocks = generator.integers(0, 255, (num_frames, 12, 12)).astype(np.uint8)
    writer = GreyWriter(path, 18)
    for block in blocks:
        writer.add(np.kron(block, np.ones((8, 8), np.uint8)))
    writer.close()
    return np.stack([*decode_frames(path)])


def test_stretches_of_a_clip_are_read_in_any_order(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.mp4", 30)
    frames = MouthFrames(tmp_path / "a.mp4", 30)
    assert len(frames) == len(whole) == 30
    for start, end in ((0, 10), (6, 16), (20, 30), (2, 5), (29, 40), (0, 30)):
        np.testing.assert_array_equal(frames[start:end], whole[start:end])
    with pytest.raises(VideoError, match="31 frames expected, found 30"):
        MouthFrames(tmp_path / "a.mp4", 31)[25:31]
    (tmp_path / "b.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match="cannot be read"):
        MouthFrames(tmp_path / "b.mp4", 3)[0:3]


def test_a_clip_gives_the_same_alone_and_in_a_batch(checkpoint: Path) -> None:
    reader = load_lip_reader(checkpoint)
    assert (reader.num_updates, reader.symbols, reader.window_s) == (7, SYMBOLS, 2.0)
    generator = np.random.default_rng(2)
    clips = [
        MouthClip(size, generator.integers(0, 255, (size, 96, 96)).astype(np.uint8), None) for size in (9, 5)
    ]
    log_probs, lengths = reader.log_probs(clips)
    assert lengths.tolist() == [9, 5]
    alone, _ = reader.log_probs(clips[1:])
    torch.testing.assert_close(log_probs[1:, :5], alone, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="one or more clips expected"):
        reader.log_probs([])


def track_of(folder: Path, num_frames: int) -> tuple[MouthTrack, ClipRow]:
    write_clip(folder / "video" / "whole.mp4", num_frames)
    clip = ClipRow("whole", "a.mp4", num_frames=num_frames)
    return MouthTrack(folder, (clip,), ()), clip


@pytest.mark.parametrize("search", [None, JointConfig(3, ctc_weight=1.0), JointConfig(3, ctc_weight=0.5)])
def test_long_clips_are_read_by_windows(checkpoint: Path, tmp_path: Path, search: JointConfig | None) -> None:
    reader = load_lip_reader(checkpoint)
    track, clip = track_of(tmp_path, 130)
    found = reader.read_clip(track, clip, search and JointSearch(SYMBOLS, search))
    times = [time for word in found for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert found
    assert times[-1] <= 130 / 25
    assert {word.text for word in found} <= {"bin", "blue", "now"}
    if search is None:
        # 2 s windows that overlap by a third; where the layers see far less than that, windows change little.
        whole = reader.read_clip(track, clip, window_s=100.0)
        assert abs(len(whole) - len(found)) <= len(whole) // 4


def test_decoder_is_told_the_language(checkpoint: Path) -> None:
    reader = load_lip_reader(checkpoint)
    assert reader.start_token == 0
    told = replace(reader, languages=("es", "pt"))
    assert [told.speaking(code).start_token for code in ("es", "pt")] == [7, 8]
    with pytest.raises(ValueError, match="one of the languages es, pt expected, found 'fr'"):
        print(told.speaking("fr").start_token)


def test_row_of_a_manifest_names_its_pictures(tmp_path: Path) -> None:
    (tmp_path / "audio" / "video" / "s1").mkdir(parents=True)
    (tmp_path / "audio" / "video" / "s1" / "a.mp4").touch()
    assert video_of_row(tmp_path / "audio/audio/s1/a.wav") == tmp_path / "audio/video/s1/a.mp4"
    with pytest.raises(VideoError, match="give manifests of prepared mouth clips"):
        video_of_row(tmp_path / "audio/audio/s1/b.wav")


def test_scoring_reads_a_checkpoint_once(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def counting(path: Any, *args: Any, **kwargs: Any) -> Any:
        read.append(Path(path))
        return load(path, *args, **kwargs)

    load = torch.load
    monkeypatch.setattr(torch, "load", counting)
    assert isinstance(score_recognition.load(str(checkpoint), "cpu"), LipReader)
    assert read == [checkpoint]
    state = load(checkpoint, weights_only=True)
    state["cfg"]["model"] = argparse.Namespace(_name="wav2vec_ctc")  # as older files of fairseq have it
    assert not is_lip_reader(state)


def test_sound_of_a_row_can_be_mixed(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    sound = np.random.default_rng(1).normal(0, 0.1, 3200).astype(np.float32)
    soundfile.write(tmp_path / "audio" / "a.wav", sound, 16000, subtype="FLOAT")
    write_clip(tmp_path / "video" / "a.mp4", 5)
    reader = load_lip_reader(checkpoint)
    entry = AudioEntry(tmp_path / "audio" / "a.wav", 0, 3200)
    assert not reader.hears_sound
    assert reader.read_row(entry, mix=lambda _: pytest.fail("it reads pictures alone")).sound is None
    reader.model.config.modality = "both"
    assert reader.hears_sound
    clip = reader.read_row(entry, mix=lambda waveform: 2 * waveform)
    np.testing.assert_allclose(clip.sound, 2 * sound, rtol=1e-6)


@pytest.mark.parametrize(
    ("network", "trained", "read"),
    [
        ("both", "video", "video"),  # such as after AV-HuBERT's pre-training: sound would be noise to it
        ("both", "audio", "audio"),
        ("both", "both", "both"),
        ("video", "both", "video"),
    ],
)
def test_a_reader_takes_what_its_training_read(tmp_path: Path, network: str, trained: str, read: str) -> None:
    path = write_lip_reader(tmp_path / "lips.pt", modality=network)
    state = torch.load(path, weights_only=True)
    state["cfg"]["task"]["modality"] = trained
    torch.save(state, path)
    assert load_lip_reader(path).modality == read


def test_other_checkpoints_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    assert holds_lip_reader(checkpoint)
    state = torch.load(checkpoint, weights_only=True)
    state["cfg"]["model"]["_name"] = "ext_ctc"
    torch.save(state, tmp_path / "sound.pt")
    assert not holds_lip_reader(tmp_path / "sound.pt")
    with pytest.raises(ValueError, match=r"not a lip reader .* a model 'ext_ctc'"):
        load_lip_reader(tmp_path / "sound.pt")
    torch.save({**torch.load(checkpoint, weights_only=True), "task_state": {}}, tmp_path / "bare.pt")
    with pytest.raises(ValueError, match="lacks the symbols"):
        load_lip_reader(tmp_path / "bare.pt")
    with pytest.raises(ValueError, match="cuda:99"):
        load_lip_reader(checkpoint, "cuda:99")


class FortySeconds:
    """A video of this length; nothing else of it is asked."""

    duration_s = 40.0

    def __init__(self, path: Path) -> None: ...

    def __enter__(self) -> "FortySeconds":
        return self

    def __exit__(self, *_: object) -> None: ...


def test_what_is_rejected_is_tried_by_what_shows_the_face_and_then_evenly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def prepare(root: Path, video: Any, *_: Any, on_seen: Any, **__: Any) -> list[ClipRow]:
        asked.append([(s.id, s.start_s, s.end_s) for s in video.segments])
        on_seen("whole", [(2.0, 38.0), (39.0, 39.2)])
        # All is lost but the second and third stretch of the last round.
        reasons = {"whole": "face_lost", "whole-00000": "lips_still", "whole-00000-00000": "lips_still"}
        return [
            ClipRow(s.id, video.path, s.start_s, s.end_s, status="rejected", reason=reasons[s.id])
            if s.id in reasons
            else ClipRow(s.id, video.path, s.start_s, s.end_s)
            for s in video.segments
        ]

    monkeypatch.setattr(mouth_track, "prepare_file", prepare)
    monkeypatch.setattr(mouth_track, "Landmarker", object)
    monkeypatch.setattr(mouth_track, "MediaReader", FortySeconds)
    (tmp_path / "a.mp4").touch()
    track = mouth_track.track_mouth(tmp_path / "a.mp4", tmp_path)
    assert asked == [
        [("whole", None, None)],
        [("whole-00000", 2.0, 38.0)],  # the other stretch is too short
        [
            ("whole-00000-00000", 2.0, 14.0),
            ("whole-00000-00001", 14.0, 26.0),
            ("whole-00000-00002", 26.0, 38.0),
        ],
    ]
    assert [clip.start_s for clip in track.clips] == [14.0, 26.0]
    notes = [note.partition(": ") for note in track.notes()]
    assert [note[0] for note in notes] == [
        "not read from 0.0 to 2.0 s", "not read from 2.0 to 14.0 s", "not read from 38.0 to 40.0 s",
    ]  # fmt: skip
    assert [note[2].split()[0] for note in notes] == ["face_lost:", "lips_still:", "face_lost:"]


def run(*given: str | Path) -> int:
    parser = argparse.ArgumentParser()
    lipread.add_arguments(parser)
    return lipread.run(parser.parse_args([str(value) for value in given]))


def test_options_that_need_each_other_are_asked_for(checkpoint: Path) -> None:
    with pytest.raises(argparse.ArgumentError, match="--side-by-side needs the folder of the outputs"):
        run(checkpoint, "a.mp4", "--side-by-side")
    with pytest.raises(argparse.ArgumentError, match="--out is needed to write srt of several"):
        run(checkpoint, "a.mp4", "b.mp4", "--format", "srt")


def fake_read(self: LipReader, video: Path, **_: Any) -> list[LipText]:
    if "none" in str(video):
        raise VideoError(f"{video}: no mouth that can be read: no_face")
    return [LipText((TimedWord("bin", 0.5, 0.9, 1.0),), ("2 faces; one is read",))]


def test_command_names_what_it_cannot_read(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(LipReader, "read_faces", fake_read)
    with pytest.raises(ValueError, match="1 of 2 videos could not be read"):
        run(checkpoint, "a.mp4", "none.mp4")
    said = capfd.readouterr()
    assert said.out == "a.mp4\tbin\n"
    assert "skipped: none.mp4: no mouth that can be read" in said.err
    assert "a.mp4: 2 faces; one is read" in said.err
    assert run(checkpoint, "a.mp4", "--format", "srt", "--out", tmp_path / "out") == 0
    assert "00:00:00,500 --> " in (tmp_path / "out" / "a.srt").read_text(encoding="utf-8")


def shown(path: Path) -> Sequence[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


@pytest.mark.skipif(not GRID.is_dir(), reason=f"no {GRID}")
def test_real_video_is_read_and_shown(checkpoint: Path, tmp_path: Path) -> None:
    video = GRID / "bbaf2n.mpg"
    reader, written = load_lip_reader(checkpoint), tmp_path / "seen.mp4"

    def draw(track: MouthTrack, words: Sequence[Sequence[TimedWord]]) -> None:
        (clip,) = track.clips
        assert clip.num_frames == 75
        write_side_by_side(written, video, clip, track.video(clip), [TimedWord("bin", 1.0, 1.2, 1.0)])

    found = reader.read(video, on_track=draw)
    assert found.notes == ()
    assert found.text == " ".join(word.text for word in found.words)
    pictures = shown(written)
    assert len(pictures) == 75
    assert pictures[0].shape == (336, 648)
    assert pictures[10][288:].max() < 60 < pictures[40][288:].max()  # the word stands below, once it is said
