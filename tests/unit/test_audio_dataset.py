"""The dataset: an item depends on (seed, epoch, row) alone; damage never stops an epoch."""

import logging
import multiprocessing
import pickle
import random
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.data import FairseqDataset

from fairseq_ext.data.audio_dataset import AudioDataset
from fairseq_ext.data.label_streams import NOT_KNOWN, LabelStreams
from fairseq_ext.data.row_dataset import GIVE_UP_AFTER
from fairseq_ext.line_index import AudioIndex
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.media.audio import AudioError
from fairseq_ext.modules.augment import WaveformAugment, WaveformAugmentConfig

RATE = 8000
WORDS = ["plaça", "demà", "iŀlusió", "no"]
NUM_ROWS = 60
Make = Callable[..., AudioDataset]


def noisy(waveform: torch.Tensor, rate: int, generator: torch.Generator) -> torch.Tensor:
    """Distort in a way that shows every draw."""
    return WaveformAugment(WaveformAugmentConfig(noise_prob=1.0, speed_prob=1.0))(waveform, rate, generator)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise of 100 to 4000 samples, named and labelled in letters of several bytes."""
    root = tmp_path_factory.mktemp("audio")
    generator = np.random.default_rng(3)
    utterances = []
    for row in range(NUM_ROWS):
        size = int(generator.integers(100, 4000))
        path = f"gravació_{row}.wav"
        with wave.open(str(root / path), "wb") as file:
            file.setparams((1, 2, RATE, size, "NONE", ""))
            file.writeframes((generator.normal(size=size) * 3000).astype("<i2").tobytes())
        utterances.append(Utterance(f"u{row}", path, size, transcript=WORDS[row % len(WORDS)]))
    write_manifest(root, "train", utterances, root=root, labels={"word": lambda u: str(u.transcript)})
    return root


@pytest.fixture
def make(folder: Path) -> Make:
    def build(**options: Any) -> AudioDataset:
        labels = LabelStreams(folder, "train", {"word": WORDS})
        return AudioDataset(AudioIndex(folder / "train.tsv"), RATE, **{"labels": labels, **options})

    return build


@pytest.fixture
def damaged(folder: Path) -> Iterator[list[int]]:
    """Rows 4 and 7 cannot be read: one is cut off inside its header, one is gone."""
    broken = {row: (folder / f"gravació_{row}.wav").read_bytes() for row in (4, 7)}
    (folder / "gravació_4.wav").write_bytes(broken[4][:20])
    (folder / "gravació_7.wav").unlink()
    yield list(broken)
    for row, content in broken.items():
        (folder / f"gravació_{row}.wav").write_bytes(content)


def first_view(dataset: AudioDataset, row: int) -> torch.Tensor:
    """Waveform of a row."""
    return dataset[row].views[0]


def test_is_a_fairseq_dataset_with_labels_of_any_script(make: Make) -> None:
    dataset = make()
    assert isinstance(dataset, FairseqDataset)
    assert len(dataset) == NUM_ROWS
    batch = dataset.collater([dataset[row] for row in range(NUM_ROWS)])
    assert [WORDS[i] for i in batch["target"]] == [WORDS[row % len(WORDS)] for row in range(NUM_ROWS)]


def test_batch_holds_whole_recordings_and_their_counts(make: Make) -> None:
    dataset = make()
    batch = dataset.collater([dataset[row] for row in (5, 2, 9)])
    sizes = dataset.index.sizes[[5, 2, 9]]
    assert batch["id"].tolist() == [5, 2, 9]
    assert batch["nsentences"] == 3
    assert batch["ntokens"] == sizes.sum()
    assert (~batch["net_input"]["padding_mask"]).sum(1).tolist() == sizes.tolist()
    assert torch.equal(batch["net_input"]["source"][1][: sizes[1]], first_view(dataset, 2))


def read_elsewhere(dataset: AudioDataset, row: int, queue: Any) -> None:
    """Run in another process."""
    queue.put(dataset[row].views[0].numpy())


def test_any_process_draws_the_same_item(make: Make) -> None:
    dataset = make(augment=noisy, seed=5)
    dataset.set_epoch(3)
    here = first_view(dataset, 11)
    torch.manual_seed(99)  # the global state plays no part
    random.seed(99)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=read_elsewhere, args=(dataset, 11, queue))
    process.start()
    there = queue.get(timeout=60)
    process.join()
    assert np.array_equal(here.numpy(), there)
    again = make(augment=noisy, seed=5)
    again.set_epoch(3)
    assert torch.equal(here, first_view(pickle.loads(pickle.dumps(again)), 11))


def test_reading_draws_nothing_from_the_global_generators(make: Make) -> None:
    dataset = make(augment=noisy)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    dataset.collater([dataset[1], dataset[2]])
    dataset.ordered_indices()
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert before[2] == np.random.get_state()[1].tolist()  # noqa: NPY002 - what others may use


@pytest.mark.parametrize("change", ["epoch", "seed", "row"])
def test_augmentation_changes_with(make: Make, change: str) -> None:
    first, second = make(augment=lambda w, r, g: torch.rand(3, generator=g)), None
    second = make(augment=first.augment, seed=2 if change == "seed" else 1)
    second.set_epoch(2 if change == "epoch" else 1)
    assert not torch.equal(first_view(first, 3), first_view(second, 4 if change == "row" else 3))


def test_two_views_differ_and_stand_in_two_halves(make: Make) -> None:
    dataset = make(augment=noisy, num_views=2, labels=None)
    items = [dataset[row] for row in (3, 8)]
    assert not torch.equal(items[0].views[0][:80], items[0].views[1][:80])
    batch = dataset.collater(items)
    assert batch["num_views"] == 2
    assert "target" not in batch
    source = batch["net_input"]["source"]
    for row, waveform in enumerate(
        [items[0].views[0], items[1].views[0], items[0].views[1], items[1].views[1]]
    ):
        assert torch.equal(source[row][: len(waveform)], waveform)


def test_no_augmentation_gives_the_recording(make: Make) -> None:
    plain, cached = make(), make(cache=True)
    for dataset in (plain, cached):
        dataset.set_epoch(4)
        assert torch.equal(first_view(dataset, 6), first_view(make(), 6))


def test_cache_survives_augmentation_and_the_loss_of_the_file(make: Make, folder: Path) -> None:
    dataset = make(augment=noisy, cache=True)
    first = first_view(dataset, 6)
    path = folder / "gravació_6.wav"
    path.rename(folder / "away")
    try:
        assert torch.equal(first, first_view(dataset, 6))
    finally:
        (folder / "away").rename(path)


def test_order_is_a_permutation_set_by_seed_and_epoch(make: Make) -> None:
    def order(seed: int, epoch: int) -> list[int]:
        dataset = make(seed=seed)
        dataset.set_epoch(epoch)
        found: list[int] = dataset.ordered_indices().tolist()
        assert sorted(found) == list(range(NUM_ROWS))
        return found

    assert order(1, 1) == order(1, 1)
    assert order(1, 1) != order(1, 2)
    assert order(1, 1) != order(2, 1)


def test_buckets_reduce_padding(make: Make) -> None:
    dataset = make()

    def padding(rows: Any) -> int:
        batches = [dataset.sizes[rows[i : i + 6]] for i in range(0, NUM_ROWS, 6)]
        return int(sum(len(batch) * batch.max() - batch.sum() for batch in batches))

    shuffled = np.random.default_rng(0).permutation(NUM_ROWS)
    assert padding(dataset.ordered_indices()) < 0.4 * padding(shuffled)


def test_evaluation_goes_by_length(make: Make) -> None:
    dataset = make(shuffle=False)
    sizes = dataset.sizes[dataset.ordered_indices()]
    assert (np.diff(sizes) >= 0).all()
    assert dataset.can_reuse_epoch_itr_across_epochs
    assert not make().can_reuse_epoch_itr_across_epochs


def test_unreadable_recordings_are_left_out_and_counted_once(
    make: Make, damaged: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    dataset = make()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):  # three epochs
            batch = dataset.collater([dataset[row] for row in (3, 4, 5, 7)])
    assert batch["id"].tolist() == [3, 5]
    assert batch["nsentences"] == 2
    assert len(batch["target"]) == 2
    assert dataset.num_unreadable == 2
    reports = [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()]
    assert len(reports) == 2
    assert "gravació_4.wav" in reports[0]
    assert "gravació_7.wav" in reports[1]


@pytest.mark.parametrize("num_views", [1, 2])
def test_batch_of_unreadable_recordings_has_no_weight(make: Make, damaged: list[int], num_views: int) -> None:
    dataset = make(num_views=num_views)
    batch = dataset.collater([dataset[row] for row in damaged])
    assert (batch["nsentences"], batch["ntokens"]) == (0, 0)
    assert batch["target"].tolist() == [NOT_KNOWN] * 2
    assert len(batch["net_input"]["source"]) == 2 * num_views
    assert batch["net_input"]["source"].std() > 0
    full = dataset.collater([dataset[3], dataset[5]])
    assert batch.keys() == full.keys()  # ranks add their logs entry by entry
    assert torch.equal(batch["net_input"]["source"], dataset.collater([])["net_input"]["source"])


def read_all(dataset: AudioDataset) -> None:
    """Run in another process."""
    for row in range(len(dataset)):
        dataset[row]


def test_worker_processes_count_together(make: Make, damaged: list[int]) -> None:
    dataset = make()
    for _ in range(2):
        process = multiprocessing.get_context("fork").Process(target=read_all, args=(dataset,))
        process.start()
        process.join()
    assert dataset.num_unreadable == len(damaged)


def test_folder_in_which_nothing_can_be_read_stops(make: Make, folder: Path, tmp_path: Path) -> None:
    lines = (folder / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]
    (tmp_path / "train.tsv").write_text("\n".join([str(tmp_path), *lines]) + "\n", encoding="utf-8")
    dataset = AudioDataset(AudioIndex(tmp_path / "train.tsv"), RATE)
    with pytest.raises(AudioError, match=f"{GIVE_UP_AFTER} recordings in a row cannot be read, the last: "):
        [dataset[row % NUM_ROWS] for row in range(2 * GIVE_UP_AFTER)]


def test_wrong_label_is_not_taken_for_damage(make: Make, folder: Path) -> None:
    dataset = make(labels=LabelStreams(folder, "train", {"word": WORDS[1:]}))
    with pytest.raises(ValueError, match=r"train\.word:1:"):
        dataset[0]


def test_short_rows_are_left_out_and_reported(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        dataset = make(min_samples=1000)
    num_short = int((dataset.index.sizes < 1000).sum())
    assert num_short
    assert f"{num_short} of {NUM_ROWS} recordings are shorter" in caplog.text
    rows = dataset.ordered_indices()
    assert len(rows) == NUM_ROWS - num_short
    assert (dataset.sizes[rows] >= 1000).all()


def test_long_rows_are_cut(make: Make) -> None:
    training, evaluation = make(max_samples=500), make(max_samples=500, shuffle=False)
    row = int(np.argmax(training.index.sizes))
    whole = first_view(make(), row)
    assert training.size(row) == training.num_tokens(row) == 500
    assert int(training.num_tokens_vec(np.array([row]))[0]) == 500
    assert torch.equal(first_view(evaluation, row), whole[:500])
    cuts = []
    for epoch in (1, 2, 3):
        training.set_epoch(epoch)
        cuts.append(first_view(training, row))
        assert len(cuts[-1]) == 500
        windows = whole.unfold(0, 500, 1)
        assert (windows == cuts[-1]).all(1).any()  # a stretch of the recording
    assert not torch.equal(cuts[0], cuts[1]) or not torch.equal(cuts[0], cuts[2])


def test_as_many_labels_as_rows_are_demanded(make: Make, tmp_path: Path) -> None:
    (tmp_path / "train.word").write_text("no\n" * (NUM_ROWS - 1), encoding="utf-8")
    with pytest.raises(ValueError, match=f"the tsv has {NUM_ROWS} rows, the labels {NUM_ROWS - 1}"):
        make(labels=LabelStreams(tmp_path, "train", {"word": WORDS}))


def test_no_rows_make_no_batches(tmp_path: Path) -> None:
    write_manifest(tmp_path, "train", [], root=tmp_path)
    dataset = AudioDataset(AudioIndex(tmp_path / "train.tsv"), RATE)
    assert len(dataset) == 0
    assert len(dataset.ordered_indices()) == 0
