"""Recordings with transcripts: clip and text stay together; what cannot be trained on is left out and named."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from fairseq_ext.data.labels import PAD, SPECIAL_SYMBOLS, TokenLabels
from fairseq_ext.data.transcribed_dataset import TranscribedDataset
from fairseq_ext.line_index import AudioIndex
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.text.units import from_characters, to_characters

RATE = 8000
TEXTS = ["plaça", "demà", "iŀlusió", "sí", "", "açò"]
SYMBOLS = [*SPECIAL_SYMBOLS, "|", *sorted(set("".join(TEXTS)))]
SIZES = [400, 2600, 5200, 3900, 1300, 9100]
Make = Callable[..., TranscribedDataset]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six recordings of noise with transcripts."""
    root = tmp_path_factory.mktemp("audio")
    generator = np.random.default_rng(3)
    rows = []
    for number, size in enumerate(SIZES):
        path = f"veu_à{number}.wav"
        soundfile.write(root / path, 0.1 * generator.normal(size=size), RATE)
        rows.append(Utterance(str(number), path, size, transcript=TEXTS[number]))
    spell = {"ltr": lambda u: " ".join(to_characters(u.transcript or ""))}
    write_manifest(root, "train", rows, root=root, labels=spell)
    return root


@pytest.fixture
def make(folder: Path) -> Make:
    def build(**options: object) -> TranscribedDataset:
        transcripts = TokenLabels(folder / "train.ltr", SYMBOLS)
        index = AudioIndex(folder / "train.tsv")
        return TranscribedDataset(index, RATE, transcripts=transcripts, **options)  # type: ignore[arg-type]

    return build


def test_batch_holds_transcripts_beside_their_recordings(make: Make) -> None:
    dataset = make()
    batch = dataset.collater([dataset[row] for row in (2, 0, 4, 3)])
    texts = [
        from_characters(SYMBOLS[token] for token in row[:length])
        for row, length in zip(batch["target"], batch["target_lengths"].tolist(), strict=True)
    ]
    assert texts == ["iŀlusió", "plaça", "", "sí"]
    assert (~batch["net_input"]["padding_mask"]).sum(1).tolist() == [5200, 400, 1300, 3900]
    assert batch["target_lengths"].tolist() == [8, 6, 0, 3]
    assert (batch["target"][3, 3:] == PAD).all()
    assert (batch["nsentences"], batch["ntokens"]) == (4, 17)


def test_seeds_follow_from_seed_epoch_and_row_alone(make: Make) -> None:
    def seeds(dataset: TranscribedDataset, *rows: int) -> list[int]:
        found: list[int] = dataset.collater([dataset[row] for row in rows])["net_input"]["seeds"].tolist()
        return found

    first, again = make(seed=5), make(seed=5)
    assert seeds(first, 1, 2, 3) == seeds(again, 3, 2, 1)[::-1]
    assert len({*seeds(first, 1, 2, 3), *seeds(make(seed=6), 1, 2, 3)}) == 6
    again.set_epoch(2)
    assert not set(seeds(first, 1, 2, 3)) & set(seeds(again, 1, 2, 3))


def test_rows_whose_transcript_does_not_fit_are_left_out_and_named(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        dataset = make(leave_out=True, frame_lengths=lambda sizes: sizes // 650)
    assert sorted(dataset.ordered_indices().tolist()) == [2, 3, 4, 5]
    assert len(caplog.records) == 1
    assert "2 of 6 recordings are too short for their transcripts and left out: " in caplog.text
    assert all(f"veu_à{number}.wav" in caplog.text for number in (0, 1))


def test_long_rows_are_left_out_and_never_cut(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        dataset = make(leave_out=True, max_samples=5000)
    assert sorted(dataset.ordered_indices().tolist()) == [0, 1, 3, 4]
    assert "2 of 6 recordings are longer than 5000 samples" in caplog.text
    assert [len(dataset[row].views[0]) for row in range(6)] == SIZES


def test_nothing_is_left_out_of_what_is_scored(make: Make) -> None:
    dataset = make(shuffle=False, max_samples=5000, frame_lengths=lambda sizes: sizes // 650)
    assert len(dataset.ordered_indices()) == 6


def test_batch_of_which_nothing_can_be_read_has_no_tokens(make: Make) -> None:
    dataset = make()
    empty, full = dataset.collater([]), dataset.collater([dataset[1]])
    assert (empty["nsentences"], empty["ntokens"]) == (0, 0)
    assert empty["target_lengths"].tolist() == [0, 0]
    assert empty.keys() == full.keys()
    assert empty["net_input"].keys() == full["net_input"].keys()


def test_as_many_transcripts_as_rows_are_demanded(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "train.ltr").write_text("a |\n", encoding="utf-8")
    index = AudioIndex(folder / "train.tsv")
    with pytest.raises(ValueError, match="the tsv has 6 rows, the transcripts 1"):
        TranscribedDataset(index, RATE, transcripts=TokenLabels(tmp_path / "train.ltr", SYMBOLS))


def test_augmentation_leaves_the_transcript_alone(make: Make) -> None:
    dataset = make(augment=lambda waveform, rate, generator: waveform[::2])
    assert torch.equal(dataset[2].label, make()[2].label)  # type: ignore[arg-type]
    assert len(dataset[2].views[0]) == 2600
