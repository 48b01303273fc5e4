"""Clips with sound and pictures: in step, drawn by seed, damaged ones left out, the same in any process."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mouth_clips import PER_FRAME, RATE_HZ, write_split
from torch import Tensor
from torch.utils.data import DataLoader

from fairseq_ext.corpora.clip_layout import audio_path
from fairseq_ext.data.av_augment import PictureConfig, PictureTransform, crop, normalize, time_mask
from fairseq_ext.data.av_dataset import AvDataset
from fairseq_ext.data.av_rows import AvRows
from fairseq_ext.data.av_sound import StackedFilterbank
from fairseq_ext.data.frame_labels import FrameLabels
from fairseq_ext.data.labels import SPECIAL_SYMBOLS, TokenLabels
from fairseq_ext.data.noise import NoiseConfig, NoiseMixer, noise_files
from fairseq_ext.data.packed_clips import DecodedClips, PackedClips
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.media.grey_clip import load_clip
from fairseq_ext.media.video import VideoError, VideoMissingError
from fairseq_ext.modules.babble import mix

LENGTHS, EVENTS = (14, 10, 12, 11), (7, 3, 9, 5)
Make = Callable[..., AvDataset]
WHOLE = PictureConfig(crop_px=88, flip_prob=0.0)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of clips; their manifest is in `manifests` there."""
    root = tmp_path_factory.mktemp("clips")
    write_split(root / "manifests", root, LENGTHS, events=EVENTS)
    return root


@pytest.fixture
def make(clips: Path) -> Make:
    """Make a data set of all clips, both streams, for training; `config` and `train` are of the pictures."""

    def dataset(
        folder: Path | None = None, config: PictureConfig = WHOLE, train: bool = True, **options: Any
    ) -> AvDataset:
        rows = AvRows(folder or clips / "manifests", "train")
        given = {"read_pictures": DecodedClips(rows), "sound": True, "shuffle": train} | options
        return AvDataset(rows, pictures=PictureTransform(config, train), **given)

    return dataset


def brightest(video: Tensor) -> list[int]:
    return video.mean((1, 2)).topk(1).indices.tolist()


def levels(dataset: AvDataset, row: int, size: int) -> Tensor:
    """Return the mean square of the sound under each picture of a row."""
    return dataset._waveform(row)[: size * PER_FRAME].view(size, PER_FRAME).square().mean(1)


def test_sound_and_picture_are_in_step(make: Make) -> None:
    dataset = make(train=False)
    for row, (size, event) in enumerate(zip(LENGTHS, EVENTS, strict=True)):
        item = dataset[row]
        assert item.video is not None
        assert item.audio is not None
        assert item.video.shape == (size, 88, 88)
        assert item.audio.shape == (size, 104)
        assert brightest(item.video) == [event]
        assert int(levels(dataset, row, size).argmax()) == event


def test_filterbank_frame_is_that_of_its_picture() -> None:
    waveform = torch.zeros(20 * PER_FRAME)
    waveform[7 * PER_FRAME : 8 * PER_FRAME] = torch.randn(
        PER_FRAME, generator=torch.Generator().manual_seed(1)
    )
    convert = StackedFilterbank()
    power = convert._mel(waveform[None, 80:])[0][0].sum(1).view(20, 4)
    assert power.sum(1).argmax() == 7
    # The windows of a picture lie symmetrically: its neighbours hear the noise alike, within chance.
    assert 0.3 < power[6].sum() / power[8].sum() < 3.0
    assert convert(waveform, 20).shape == (20, 104)
    assert convert(waveform[: 19 * PER_FRAME - 1], 20).shape == (20, 104)


def test_frames_have_mean_0_and_variance_1(make: Make) -> None:
    audio = make()[0].audio
    assert audio is not None
    torch.testing.assert_close(audio.mean(1), torch.zeros(14), atol=1e-4, rtol=0)
    torch.testing.assert_close(audio.var(1, correction=0), torch.ones(14), atol=1e-3, rtol=0)


def test_segment_reads_its_own_frames(clips: Path, tmp_path: Path, make: Make) -> None:
    start, size = 5, 6  # around the flash of clip 0, frame 7
    rows = [
        Utterance(
            f"part{shift}",
            audio_path("train0"),
            size * PER_FRAME,
            size,
            start_s=(start * PER_FRAME + shift) / RATE_HZ,
            end_s=((start + size) * PER_FRAME + shift) / RATE_HZ,
        )
        for shift in (0, 200, -200)
    ]
    write_manifest(tmp_path, "train", rows, root=clips, sample_rate_hz=RATE_HZ)
    dataset = make(tmp_path, train=False)
    for row in range(3):
        item = dataset[row]
        assert item.num_frames == size
        assert item.video is not None
        assert brightest(item.video) == [2]
        # In step to the sample, where the stretch begins between two pictures too.
        loud = dataset._waveform(row).abs() > 0.05
        assert abs(int(loud.nonzero()[0]) - 2 * PER_FRAME) < 20
    assert [dataset.rows[row].start_frame for row in range(3)] == [5, 5, 5]


def test_av_hubert_manifest_gives_the_same(clips: Path, tmp_path: Path, make: Make) -> None:
    lines = ["/"]
    for number, size in enumerate(LENGTHS):
        paths = (clips / f"video/train{number}.mp4", clips / f"audio/train{number}.wav")
        lines.append("\t".join([f"train{number}", *map(str, paths), str(size), str(size * PER_FRAME)]))
    (tmp_path / "train.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ours, theirs = make(train=False), make(tmp_path, train=False)
    assert theirs.rows[2].id == ours.rows[2].id == "train2"
    for row in range(len(LENGTHS)):
        assert torch.equal(_video(ours, row), _video(theirs, row))
        assert torch.equal(_audio(ours, row), _audio(theirs, row))


def _video(dataset: AvDataset, row: int) -> Tensor:
    found = dataset[row].video
    assert found is not None
    return found


def _audio(dataset: AvDataset, row: int) -> Tensor:
    found = dataset[row].audio
    assert found is not None
    return found


def test_rows_without_frames_are_refused(clips: Path, tmp_path: Path) -> None:
    rows = [Utterance("a", audio_path("train0"), 640)]
    write_manifest(tmp_path, "train", rows, root=clips)
    with pytest.raises(ValueError, match=r"train\.meta\.tsv:2: a number of frames expected, found ''"):
        AvRows(tmp_path, "train")


@pytest.mark.parametrize(
    ("options", "video", "audio"),
    [({"sound": False}, True, False), ({"read_pictures": None}, False, True), ({}, True, True)],
)
def test_streams_can_be_chosen(make: Make, options: dict[str, Any], video: bool, audio: bool) -> None:
    dataset = make(**options)
    inputs = dataset.collater([dataset[0], dataset[1]])["net_input"]
    assert (inputs["video"] is not None, inputs["audio"] is not None) == (video, audio)
    if video:
        assert inputs["video"].shape == (2, 1, 14, 88, 88)
        assert not inputs["video"][1, :, 10:].any()
    if audio:
        assert inputs["audio"].shape == (2, 104, 14)
    assert inputs["padding_mask"].sum(1).tolist() == [0, 4]


def test_what_is_drawn_depends_on_row_and_epoch_alone(make: Make) -> None:
    config = PictureConfig(crop_px=80, time_mask_frames=5, time_mask_stride=5)
    dataset, again = make(config=config), make(config=config)
    first = [_video(dataset, row) for row in range(4)]
    assert all(torch.equal(_video(again, row), first[row]) for row in (3, 1, 0, 2))
    dataset.set_epoch(2)
    assert not all(torch.equal(_video(dataset, row), first[row]) for row in range(4))
    batch = dataset.collater([dataset[0]])["net_input"]["seeds"]
    again.set_epoch(2)
    assert torch.equal(batch, again.collater([again[0]])["net_input"]["seeds"])


def test_batch_does_not_depend_on_workers(make: Make) -> None:
    config = PictureConfig(crop_px=80, time_mask_frames=5, time_mask_stride=5)
    dataset = make(config=config)
    dataset.noise = NoiseMixer(NoiseConfig(noise_prob=1.0), len(dataset), dataset.voice, 2)
    found = [
        next(iter(DataLoader(dataset, 4, num_workers=workers, collate_fn=dataset.collater)))["net_input"]
        for workers in (0, 2)
    ]
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name]), name


def test_scored_split_draws_the_same_in_every_epoch(make: Make) -> None:
    dataset = make(train=False)
    dataset.noise = NoiseMixer(NoiseConfig(noise_prob=1.0), len(dataset), dataset.voice, 2)
    before = _audio(dataset, 0)
    dataset.set_epoch(5)
    assert torch.equal(_audio(dataset, 0), before)


def test_crop_flip_and_normalisation() -> None:
    pictures = torch.arange(2 * 96 * 96).view(2, 96, 96).remainder(256).to(torch.uint8)
    assert torch.equal(crop(pictures, 88, None), pictures[:, 4:92, 4:92])
    corners = {int(crop(pictures, 88, torch.Generator().manual_seed(seed))[0, 0, 0]) for seed in range(20)}
    assert len(corners) > 5
    with pytest.raises(ValueError, match=r"96 x 96 px are smaller than task\.crop_px=100"):
        crop(pictures, 100, None)
    assert float(normalize(torch.tensor([0, 255], dtype=torch.uint8))[1]) == pytest.approx(
        (1 - 0.421) / 0.165
    )
    flipped = PictureTransform(PictureConfig(crop_px=96, flip_prob=1.0), train=True)
    same = PictureTransform(PictureConfig(crop_px=96, flip_prob=1.0), train=False)
    generator = torch.Generator().manual_seed(1)
    assert torch.equal(flipped(pictures, generator), same(pictures, generator).flip(2))


def test_time_masks_grow_with_the_clip() -> None:
    generator = torch.Generator().manual_seed(1)
    masked = {
        size: np.mean(
            [int((time_mask(torch.ones(size, 1, 1), 10, 25, generator) == 0).sum()) for _ in range(300)]
        )
        for size in (10, 50, 100)
    }
    # One mask of 0 to 10 frames per 25 frames, 5 on average; masks may overlap.
    assert 7.5 < masked[50] < 10.5
    assert 1.0 < masked[10] < 2.5
    assert masked[100] == pytest.approx(2 * masked[50], rel=0.15)


def test_broken_clips_are_left_out_and_named(
    clips: Path, tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    write_split(tmp_path / "manifests", tmp_path, (10, 10, 10, 10))
    (tmp_path / "video/train1.mp4").unlink()
    (tmp_path / "video/train2.mp4").write_bytes((tmp_path / "video/train0.mp4").read_bytes()[:3000])
    (tmp_path / "audio/train3.wav").write_bytes(b"")
    dataset = make(tmp_path / "manifests")
    with caplog.at_level(logging.WARNING):
        batch = dataset.collater([dataset[row] for row in range(4)])
    assert batch["id"].tolist() == [0]
    assert batch["nsentences"] == 1
    assert dataset.num_unreadable == 3
    assert all(f"train{number}." in caplog.text for number in (1, 2, 3))
    nothing = dataset.collater([dataset[1], dataset[2]])
    assert (nothing["nsentences"], nothing["ntokens"]) == (0, 0)
    assert nothing["net_input"]["video"].shape[0] == 2
    sound = make(tmp_path / "manifests", read_pictures=None)
    assert [sound[row].num_frames for row in range(4)] == [10, 10, 10, 0]


def test_clip_with_another_number_of_frames_is_refused(clips: Path) -> None:
    path = clips / "video/train0.mp4"
    assert load_clip(path).shape == (14, 96, 96)
    assert np.array_equal(load_clip(path, 3, 4), load_clip(path)[3:7])
    with pytest.raises(VideoError, match="15 frames from 0 on expected, found 14"):
        load_clip(path, 0, 15)
    with pytest.raises(VideoMissingError, match="no such file"):
        load_clip(clips / "video/none.mp4")


def test_packed_pictures_are_those_decoded(
    clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = AvRows(clips / "manifests", "train")
    decoded = DecodedClips(rows)
    with caplog.at_level(logging.INFO):
        packed, again = PackedClips(tmp_path, rows), PackedClips(tmp_path, rows)
    assert caplog.text.count("decoding 4 clips, once") == 1
    for row, size in enumerate(LENGTHS):
        assert np.array_equal(packed(row, 0, size), decoded(row, 0, size))
        assert np.array_equal(again(row, 2, 5), decoded(row, 2, 5))


def test_packed_pictures_follow_the_clips(tmp_path: Path) -> None:
    write_split(tmp_path / "manifests", tmp_path, (5, 5), events=(1, 1))
    (tmp_path / "video/train1.mp4").write_bytes(b"no video")
    first = PackedClips(tmp_path / "packed", AvRows(tmp_path / "manifests", "train"))
    with pytest.raises(VideoError, match=r"train1\.mp4"):
        first(1, 0, 5)
    write_split(tmp_path / "manifests", tmp_path, (5, 5), events=(2, 2))
    second = PackedClips(tmp_path / "packed", AvRows(tmp_path / "manifests", "train"))
    assert second.folder != first.folder
    assert second(1, 0, 5).mean((1, 2)).argmax() == 2


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 7.5, 20.0])
def test_noise_has_the_ratio_asked_for(snr_db: float) -> None:
    generator = torch.Generator().manual_seed(1)
    speech, noise = torch.randn(2, 8000, generator=generator) * torch.tensor([[0.1], [3.0]])
    added = mix(speech, noise, snr_db) - speech
    found = 10 * torch.log10(speech.square().mean() / added.square().mean())
    assert float(found) == pytest.approx(snr_db, abs=1e-3)
    assert torch.equal(mix(torch.zeros(10), torch.ones(10), 0.0), torch.zeros(10))


def test_babble_is_made_of_others_by_seed() -> None:
    waves = torch.eye(5, 100) + 0.1
    asked: list[int] = []

    def read(number: int) -> Tensor:
        asked.append(number)
        return waves[number]

    mixer = NoiseMixer(NoiseConfig(noise_prob=1.0, noise_snr_low_db=-5.0, noise_snr_high_db=5.0), 5, read, 4)
    speech = torch.randn(150, generator=torch.Generator().manual_seed(1))
    first = [mixer(speech, torch.Generator().manual_seed(seed), without=2) for seed in range(30)]
    assert set(asked) == {0, 1, 3, 4}
    assert all(
        torch.equal(mixer(speech, torch.Generator().manual_seed(seed), without=2), first[seed])
        for seed in (7, 3)
    )
    ratios = [
        float(10 * torch.log10(speech.square().mean() / (mixed - speech).square().mean())) for mixed in first
    ]
    assert -5.01 < min(ratios) < -2.0
    assert 2.0 < max(ratios) < 5.01
    rare = replace(mixer.config, noise_prob=0.25)
    changed = [
        not torch.equal(NoiseMixer(rare, 5, read, 4)(speech, torch.Generator().manual_seed(seed)), speech)
        for seed in range(200)
    ]
    assert 0.15 < np.mean(changed) < 0.35


def test_noise_of_files(clips: Path, tmp_path: Path) -> None:
    assert [path.name for path in noise_files(str(clips))] == [f"train{number}.wav" for number in range(4)]
    with pytest.raises(ValueError, match=r"found none; give task\.noise_source another folder"):
        noise_files(str(tmp_path))


def test_transcripts_and_frame_labels(clips: Path, tmp_path: Path, make: Make) -> None:
    (tmp_path / "train.words").write_text("bin blue\nbin\nblue blue\nbin\n", encoding="utf-8")
    lines = [" ".join(["bin"] * 7 + ["blue"] * 7), "", " ".join(["bin"] * 11), " ".join(["blue"] * 11)]
    (tmp_path / "train.frames").write_text("\n".join(lines) + "\n", encoding="utf-8")
    symbols = [*SPECIAL_SYMBOLS, "bin", "blue"]
    dataset = make(
        transcripts=TokenLabels(tmp_path / "train.words", symbols),
        frame_labels=FrameLabels(tmp_path / "train.frames", symbols),
    )
    batch = dataset.collater([dataset[row] for row in range(4)])
    assert batch["target"].tolist() == [[4, 5], [4, 1], [5, 5], [4, 1]]
    assert batch["target_lengths"].tolist() == [2, 1, 2, 1]
    assert batch["ntokens"] == 6
    assert batch["frame_targets"].shape == (4, 14)
    assert batch["frame_targets"][0].tolist() == [4] * 7 + [5] * 7
    assert batch["frame_targets"][1].tolist() == [-100] * 14
    assert (
        batch["frame_targets"][2].tolist() == [4] * 11 + [-100] * 3
    )  # a label is missing for frame 11 of 12


def test_labels_of_a_higher_rate_are_thinned(tmp_path: Path) -> None:
    path = tmp_path / "train.km"
    path.write_text(" ".join(str(number // 4) for number in range(49)) + "\n0 0 0\n", encoding="utf-8")
    labels = FrameLabels(path, [str(number) for number in range(13)], label_rate_hz=100)
    assert labels.get(0, 12).tolist() == list(range(12))
    with pytest.raises(ValueError, match=r"train\.km:1: 20 labels at 25 Hz expected, found 12"):
        labels.get(0, 20)
    with pytest.raises(ValueError, match="a multiple of 25 expected, found 40"):
        FrameLabels(path, ["0"], label_rate_hz=40)
    with pytest.raises(ValueError, match="'3' is not in the dictionary"):
        FrameLabels(path, ["0", "1", "2"], label_rate_hz=100).get(0, 12)


def test_long_and_short_clips(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cut = make(max_frames=11, frame_labels=_counting(tmp_path))
    assert cut.sizes.tolist() == [11, 10, 11, 11]
    item = cut[0]
    assert item.video is not None
    assert item.audio is not None
    assert item.frame_target is not None
    start = int(item.frame_target[0])
    assert item.frame_target.tolist() == list(range(start, start + 11))
    assert brightest(item.video) == [7 - start]
    starts = set()
    for epoch in range(1, 12):
        cut.set_epoch(epoch)
        starts.add(int(cut[0].frame_target[0]))  # type: ignore[index]
    assert len(starts) > 1
    with caplog.at_level(logging.WARNING):
        short = make(min_frames=11)
    assert sorted(short.ordered_indices().tolist()) == [0, 2, 3]
    assert "1 of 4 clips are shorter than 11 frames and left out: train1" in caplog.text


def _counting(folder: Path) -> FrameLabels:
    path = folder / "train.count"
    path.write_text("".join(" ".join(map(str, range(size))) + "\n" for size in LENGTHS), encoding="utf-8")
    return FrameLabels(path, [str(number) for number in range(20)])


def test_long_transcribed_clips_are_left_out(make: Make, tmp_path: Path) -> None:
    (tmp_path / "train.words").write_text("a\n" + "a " * 7 + "\na\na\n", encoding="utf-8")
    words = TokenLabels(tmp_path / "train.words", [*SPECIAL_SYMBOLS, "a"])
    dataset = make(transcripts=words, max_frames=12, leave_out=True)
    # 7 equal tokens need 13 frames of CTC, clip 1 has 10; clip 0 has 14 frames.
    assert sorted(dataset.ordered_indices().tolist()) == [2, 3]
    assert dataset[0].num_frames == 14
