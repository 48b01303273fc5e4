"""Lip reading with the real command: frames first and then CTC, interrupted, on two ranks; then from the file alone."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.inference.lip_reader import load_lip_reader
from fairseq_ext.line_index import AudioIndex
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.media.mouth.writer import GreyWriter

pytestmark = pytest.mark.training

Train = Callable[..., Any]
Command = Callable[[Path, Sequence[str]], list[str]]
Continued = Callable[[Sequence[str], int, Any], Any]
Differences = Callable[[Any, Any], dict[str, float]]
TwoRanks = Callable[..., subprocess.CompletedProcess[str]]

CONF = Path(__file__).resolve().parents[2] / "recipes" / "vsr_low_resource" / "conf"
WORDS = ("oben", "unten", "links")
# A word is a bright bar at one of three heights.
TOPS = {"oben": 10, "unten": 70, "links": 40}
SMALL = (
    f"conf={CONF}",
    "config=finetune",
    "+finetune_size=smoke",
    *("dataset.batch_size=null", "dataset.max_tokens=160", "task.pictures.flip_prob=0.5"),
    *("task.pictures.time_mask_frames=2", "model.dropout=0.1", "optimization.lr=[0.005]"),
    *("model.decoder_layers=1", "model.decoder_embed_dim=16", "model.decoder_ffn_embed_dim=16"),
    *("model.decoder_attention_heads=2", "criterion.ctc_weight=0.5", "criterion.frame_updates=8"),
)
# Nothing random but what is drawn by row: batches may be divided among ranks.
DETERMINISTIC = (
    *("model.dropout=0", "model.decoder_dropout=0", "optimization.max_update=4", "criterion.frame_updates=2"),
    "lr_scheduler.warmup_updates=1",
    *("ema.store_ema=false", "dataset.disable_validation=false", "dataset.validate_interval=1"),
    "checkpoint.save_interval_updates=2",
)


def write_clip(root: Path, name: str, words: Sequence[str]) -> list[str]:
    """Write pictures and sound of words, five frames each with two between them; return the label of each frame."""
    labels = ["<s>"] * 2 + [unit for word in words for unit in [f"▁{word}"] * 5 + ["<s>"] * 2]
    (root / "video").mkdir(exist_ok=True)
    (root / "audio").mkdir(exist_ok=True)
    writer = GreyWriter(root / "video" / f"{name}.mp4", 18)
    for label in labels:
        picture = np.full((96, 96), 60, np.uint8)
        if label != "<s>":
            top = TOPS[label[1:]]
            picture[top : top + 16] = 220
        writer.add(picture)
    writer.close()
    soundfile.write(root / "audio" / f"{name}.wav", np.zeros(640 * len(labels)), 16000)
    return labels


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of 12 clips of one to three words, the same in all splits."""
    root = tmp_path_factory.mktemp("bars")
    generator, rows, frames = np.random.default_rng(1), [], {}
    for number in range(12):
        words = generator.permutation(WORDS)[: 1 + number % 3].tolist()
        frames[str(number)] = write_clip(root, str(number), words)
        size = len(frames[str(number)])
        about = {"transcript": " ".join(words), "speaker": f"s{number}", "language": "de"}
        rows.append(Utterance(str(number), f"audio/{number}.wav", 640 * size, size, **about))
    streams = {
        "words": lambda u: " ".join(f"▁{word}" for word in u.transcript.split()),
        # The last clip's times are not known.
        "wordframes": lambda u: "" if u.id == "11" else " ".join(frames[u.id]),
        "wrd": lambda u: u.transcript,
    }
    for split in ("train", "valid"):
        write_manifest(root, split, rows, root=root, labels=streams)
    write_dictionary(root / "dict.words.txt", {f"▁{word}": 8 for word in WORDS})
    return root


@pytest.fixture(scope="session")
def options(corpus: Path) -> tuple[str, ...]:
    return (*SMALL, f"task.data={corpus}", f"task.video_cache={corpus}/packed")


@pytest.fixture(scope="session")
def trained(train: Train, options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Train frames first, then CTC and the decoder, until the clips are learnt."""
    return train(
        tmp_path_factory.mktemp("trained"),
        *options,
        *("optimization.max_update=90", "criterion.frame_updates=40", "ema.ema_decay=0.9"),
        *("dataset.disable_validation=false", "dataset.validate_interval=1000"),
        *("lr_scheduler.warmup_updates=5", "checkpoint.save_interval_updates=0"),
    )


def test_learns_its_clips_and_logs_every_term(trained: Any) -> None:
    valid = [row for row in trained.log if "valid_wer" in row][-1]
    assert float(valid["valid_wer"]) == 0.0
    early, late = ([row for row in trained.log if int(row.get("num_updates", -1)) == n] for n in (40, 90))
    assert (float(early[0]["weight_ctc"]), float(early[0]["weight_frames"])) == (0.0, 1.0)
    assert (float(late[0]["weight_ctc"]), float(late[0]["weight_attention"])) == (0.5, 0.5)
    assert {"ctc", "attention", "frames", "frame_accuracy", "token_accuracy"} <= late[0].keys()


def test_the_file_alone_reads_what_the_manifest_says(trained: Any, corpus: Path) -> None:
    reader = load_lip_reader(trained.folder / "checkpoint_last.pt")
    index = AudioIndex(corpus / "train.tsv")
    clips = [reader.read_row(index.entry(row)) for row in range(12)]
    log_probs, lengths = reader.log_probs(clips)
    from fairseq_ext.decoding.ctc import greedy

    texts = (corpus / "train.wrd").read_text(encoding="utf-8").splitlines()
    assert [best.text for best in greedy(log_probs, lengths, reader.symbols)] == texts


@pytest.fixture(scope="session")
def uninterrupted(train: Train, options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Train 14 updates in one go, over both phases, with all that is random."""
    return train(
        tmp_path_factory.mktemp("lips"),
        *options,
        "optimization.max_update=14",
        "checkpoint.save_interval_updates=5",
    )


def test_killed_training_continues_to_the_same_weights(
    continued: Continued, options: tuple[str, ...], uninterrupted: Any
) -> None:
    continued(
        (*options, "optimization.max_update=14", "checkpoint.save_interval_updates=5"), 7, uninterrupted
    )


def test_two_ranks_learn_as_one(
    train: Train,
    training_command: Command,
    two_ranks: TwoRanks,
    differences: Differences,
    options: tuple[str, ...],
    tmp_path: Path,
) -> None:
    settings = (*options, *DETERMINISTIC)
    one = train(tmp_path / "one", *settings, "optimization.update_freq=[2]")
    folder = tmp_path / "two"
    result = two_ranks(training_command(folder, settings), folder)
    assert result.returncode == 0, result.stdout[-4000:]
    two = type(one)(folder, result.stdout, 0)
    assert sorted(two.updates) == sorted(one.updates) == [1, 2, 3, 4]
    assert two.updates == pytest.approx(one.updates, abs=1e-3)
    # What is validated goes through the statistics of batch norm, which are each rank's own.
    ours, theirs = (
        [row["valid_num_infeasible"] for row in run.log if "valid_wer" in row] for run in (one, two)
    )
    assert ours == theirs != []
    found = differences(one.checkpoint()["model"], two.checkpoint()["model"])
    weights = {n: v for n, v in found.items() if "running_" not in n and "num_batches" not in n}
    assert max(weights.values(), default=0.0) < 1e-3
