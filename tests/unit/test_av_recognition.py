"""The task of lip reading: labels of frames, short clips first, language tokens, what a checkpoint holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from omegaconf import OmegaConf

from fairseq_ext.data.label_streams import NOT_KNOWN
from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.tasks.av_recognition import AvRecognitionConfig, ExtAvRecognitionTask

FRAMES = (6, 12, 9)


def write_corpus(root: Path, languages: Sequence[str] = ("es", "pt", "es")) -> Path:
    """Write three clips of sound; the frames of the second are not known."""
    (root / "audio").mkdir()
    rows = []
    for number, (size, language) in enumerate(zip(FRAMES, languages, strict=True)):
        soundfile.write(root / "audio" / f"{number}.wav", np.ones(640 * size) * 0.1, 16000)
        rows.append(Utterance(str(number), f"audio/{number}.wav", 640 * size, size, language=language))
    labels = {
        "words": lambda u: "▁a ▁b",
        "km": lambda u: "" if u.id == "1" else " ".join(str(t % 2) for t in range(u.num_frames)),
        "wordframes": lambda u: " ".join(["<s>", *["▁b"] * (u.num_frames - 1)]),
    }
    for split in ("train", "valid"):
        write_manifest(root, split, rows, root=root, labels=labels)
    write_dictionary(root / "dict.words.txt", {"▁a": 3, "▁b": 3})
    write_dictionary(root / "dict.km.txt", {"0": 9, "1": 9})
    return root


def make(root: Path, **keys: Any) -> ExtAvRecognitionTask:
    given = {"data": str(root), "modality": "audio", "labels": "words", "train_subset": "train", **keys}
    return ExtAvRecognitionTask(OmegaConf.structured(AvRecognitionConfig(**given)))


def batch_of(task: ExtAvRecognitionTask, split: str = "train") -> dict[str, Any]:
    task.load_dataset(split)
    dataset = task.datasets[split]
    batch: dict[str, Any] = dataset.collater([dataset[row] for row in range(3)])
    return batch


def test_frames_have_classes_of_their_own_or_those_of_the_symbols(tmp_path: Path) -> None:
    task = make(write_corpus(tmp_path), frame_labels="km")
    assert (task.num_frame_classes, task.has_frame_labels, task.num_starts) == (6, True, 0)
    targets = batch_of(task)["frame_targets"]
    assert targets.shape == (3, 12)
    assert targets[0].tolist() == [4, 5] * 3 + [NOT_KNOWN] * 6
    assert (targets[1] == NOT_KNOWN).all()
    shared = make(tmp_path, frame_labels="wordframes")
    assert shared.num_frame_classes == len(shared.symbols) == 6
    # silence is CTC's blank
    assert batch_of(shared)["frame_targets"][0].tolist() == [0] + [5] * 5 + [NOT_KNOWN] * 6
    none = make(tmp_path)
    assert (none.num_frame_classes, none.has_frame_labels) == (0, False)
    assert "frame_targets" not in batch_of(none)


def test_validation_needs_no_labels_of_frames(tmp_path: Path) -> None:
    task = make(write_corpus(tmp_path), frame_labels="km")
    (tmp_path / "valid.km").unlink()
    assert "frame_targets" not in batch_of(task, "valid")
    (tmp_path / "train.km").unlink()
    with pytest.raises(FileNotFoundError, match=r"train\.km"):
        task.load_dataset("train")


def test_short_clips_come_first(tmp_path: Path) -> None:
    task = make(write_corpus(tmp_path), curriculum_frames=9, curriculum_epochs=2)
    task.load_dataset("train")
    task.load_dataset("valid")
    dataset = task.datasets["train"]
    for epoch, rows in ((1, {0, 2}), (2, {0, 2}), (3, {0, 1, 2})):
        dataset.set_epoch(epoch)
        assert set(dataset.ordered_indices().tolist()) == rows
    assert set(task.datasets["valid"].ordered_indices().tolist()) == {0, 1, 2}
    with pytest.raises(ValueError, match=r"no clip of .* has 5 frames or fewer"):
        make(tmp_path, curriculum_frames=5, curriculum_epochs=1).load_dataset("train")


def test_transcripts_can_start_with_their_language(tmp_path: Path) -> None:
    task = make(write_corpus(tmp_path), language_token=True)
    assert task.languages == ["es", "pt"]
    assert task.num_starts == 2
    assert batch_of(task)["starts"].tolist() == [6, 7, 6]
    assert "starts" not in batch_of(make(tmp_path))


def test_unknown_languages_are_refused(tmp_path: Path) -> None:
    root = write_corpus(tmp_path, ("es", "", "es"))
    with pytest.raises(ValueError, match=r"train\.meta\.tsv:3: a language expected"):
        make(root, language_token=True).load_dataset("train")
    path = root / "train.meta.tsv"
    path.write_text(
        path.read_text(encoding="utf-8").replace("1\t12\t\t\t\t", "1\t12\t\t\tpt\t"), encoding="utf-8"
    )
    task = make(root, language_token=True)
    task.load_dataset("train")
    valid = root / "valid.meta.tsv"
    valid.write_text(
        valid.read_text(encoding="utf-8").replace("1\t12\t\t\t\t", "1\t12\t\t\tfr\t"), encoding="utf-8"
    )
    with pytest.raises(ValueError, match=r"which training has, found \['fr'\]"):
        task.load_dataset("valid")


def test_checkpoint_holds_what_inference_needs_and_another_dictionary_is_refused(tmp_path: Path) -> None:
    task = make(write_corpus(tmp_path), language_token=True)
    task.load_dataset("train")
    kept = task.state_dict()
    assert kept["symbols"] == ["<s>", "<pad>", "</s>", "<unk>", "▁a", "▁b"]
    assert kept["languages"] == ["es", "pt"]
    assert kept["long_s"] == pytest.approx(12 / 25, abs=0.02)
    assert len(task.target_dictionary) == 6
    before = task.get_checkpoint_dict()["ExtAvRecognitionTask"]
    task.set_checkpoint_dict(before)
    write_dictionary(tmp_path / "dict.words.txt", {"▁b": 3, "▁a": 3})
    with pytest.raises(ValueError, match=r"dict\.words\.txt: the checkpoint's symbols"):
        make(tmp_path).set_checkpoint_dict(before)
