"""Recognition with the real command: to an error rate of 0, interrupted, on two ranks; then from the file alone."""

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from preloaded import Preloaded

from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.inference.recognizer import load_recognizer
from fairseq_ext.manifest import Utterance, read_labels, write_manifest
from fairseq_ext.text.units import count_units, to_characters

pytestmark = pytest.mark.training

Train = Callable[..., Any]
Command = Callable[[Path, Sequence[str]], list[str]]
Continued = Callable[[Sequence[str], int, Any], Any]
Differences = Callable[[Any, Any], dict[str, float]]
TwoRanks = Callable[..., subprocess.CompletedProcess[str]]

RATE = 8000
# Each letter is a tone: what is heard is what is written.
TONES_HZ = {"a": 300, "ç": 600, "à": 1000, "ŀ": 1500}
WORDS = ("ça", "àŀ", "ŀaç", "àça", "aŀà", "çàŀ", "aà", "ŀç")
CONFIG = """
common: {seed: 1, user_dir: "???", log_format: json, log_interval: 1, cpu: false}
checkpoint: {save_dir: "???", no_epoch_checkpoints: true, save_interval_updates: 3, keep_interval_updates: 1}
task: {_name: ext_audio_ctc, data: "???", labels: ltr, sample_rate_hz: 8000, seed: 1, cache_audio: true}
dataset: {max_tokens: 60000, num_workers: 0, train_subset: train, valid_subset: valid, required_batch_size_multiple: 1}
criterion: {_name: ext_ctc}
optimization: {max_update: 20, lr: [0.005], clip_norm: 5.0}
model:
  _name: ext_ctc
  extractor_mode: layer_norm
  layer_norm_first: true
  normalize: true
  conv_feature_layers: "[(32, 40, 20)] + [(32, 4, 4)] * 2"
  encoder_layers: 2
  encoder_embed_dim: 32
  encoder_ffn_embed_dim: 64
  encoder_attention_heads: 2
  conv_pos: 8
  conv_pos_groups: 4
  dropout: 0.1
  attention_dropout: 0.1
  layer_decay: 1.0
  freeze_finetune_updates: 0
  mask_prob: 0.3
  mask_length: 2
  mask_channel_prob: 0.1
  mask_channel_length: 4
"""
ONE_RATE = """
optimizer: {_name: adam, adam_betas: "(0.9,0.98)"}
lr_scheduler: {_name: polynomial_decay, warmup_updates: 20, total_num_update: 160, end_learning_rate: 0.0005}
"""
# The output layer alone for three updates, then every layer at its own rate.
STAGED = ("model.layer_decay=0.5", "model.freeze_finetune_updates=3")
# Nothing random but what the clips' seeds decide: batches may then be divided among ranks.
NO_DROPOUT = ("model.dropout=0", "model.attention_dropout=0")
NO_MASKS = ("model.mask_prob=0", "model.mask_channel_prob=0")


def spoken(text: str, generator: np.random.Generator) -> np.ndarray:
    """Return a text in tones of 0.1 to 0.14 s with pauses, in noise."""
    parts = [np.zeros(400)]
    for letter in text:
        time_s = np.arange(int(generator.integers(800, 1120))) / RATE
        tone = 0.3 * np.sin(2 * np.pi * TONES_HZ.get(letter, 0) * time_s)
        parts += [tone * np.hanning(len(tone)), np.zeros(160)]
    waveform = np.concatenate(parts)
    return waveform + 0.003 * generator.normal(size=len(waveform))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of 24 sentences of two words, the same in both splits."""
    root = tmp_path_factory.mktemp("tones")
    generator = np.random.default_rng(1)
    texts = generator.permutation([f"{a} {b}" for a in WORDS for b in WORDS if a != b])[:24].tolist()
    rows = []
    for number, text in enumerate(texts):
        waveform = spoken(text, generator)
        soundfile.write(root / f"{number}.wav", waveform, RATE)
        rows.append(Utterance(str(number), f"{number}.wav", len(waveform), transcript=text))
    spell = {"ltr": lambda u: " ".join(to_characters(u.transcript)), "wrd": lambda u: u.transcript}
    for split in ("train", "valid"):
        write_manifest(root, split, rows, root=root, labels=spell)
    write_dictionary(root / "dict.ltr.txt", count_units(map(to_characters, texts)))
    return root


@pytest.fixture(scope="session")
def options(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Return the overrides that name the configuration above and the corpus."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "one_rate.yaml").write_text(CONFIG + ONE_RATE, encoding="utf-8")
    # `training_command` sets a batch size, where here the number of samples decides, and a schedule
    return f"conf={folder}", f"task.data={corpus}", "dataset.batch_size=null", "config=one_rate"


@pytest.fixture(scope="session")
def trained(train: Train, options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Train until the sentences are learned, with validation at the end."""
    return train(
        tmp_path_factory.mktemp("trained"),
        *options,
        *NO_DROPOUT,
        *NO_MASKS,
        "optimization.max_update=160",
        "lr_scheduler.warmup_updates=20",
        "checkpoint.save_interval_updates=0",
        "dataset.disable_validation=false",
        "dataset.validate_interval=1000",
    )


def test_learns_its_sentences(trained: Any) -> None:
    rows = [row for row in trained.log if "valid_wer" in row]
    assert float(rows[-1]["valid_wer"]) == float(rows[-1]["valid_cer"]) == 0.0
    assert trained.updates[160] < 0.1 < 2.0 < trained.updates[1]


@pytest.fixture
def alone(trained: Any, tmp_path: Path) -> Path:
    """Copy the trained checkpoint to a folder without its corpus and its configuration."""
    folder = tmp_path / "alone"
    folder.mkdir()
    shutil.copyfile(trained.folder / "checkpoint_last.pt", folder / "model.pt")
    return folder / "model.pt"


def test_the_file_alone_writes_down_what_the_manifest_says(alone: Path, corpus: Path) -> None:
    recognizer = load_recognizer(alone)
    for number, text in enumerate(read_labels(corpus, "train", "wrd")):
        assert recognizer.transcribe(corpus / f"{number}.wav").encode() == text.encode()


def test_command_transcribes_long_audio_and_says_what_it_cannot_read(
    alone: Path, corpus: Path, repository: Path, preloaded: Preloaded, tmp_path: Path
) -> None:
    texts = list(read_labels(corpus, "train", "wrd"))
    clips = [soundfile.read(corpus / f"{number}.wav")[0] for number in range(24)]
    soundfile.write(tmp_path / "one.ogg", clips[3], RATE)
    soundfile.write(tmp_path / "all.flac", np.concatenate(clips), RATE)
    (tmp_path / "broken.mp3").write_bytes(b"no sound")
    files = [tmp_path / name for name in ("one.ogg", "broken.mp3", "all.flac")]
    command = [repository / "tools" / "transcribe.py", alone, *files]
    said = preloaded.run([*command, "--format", "json", "--out", tmp_path])
    assert said.returncode == 1
    assert "1 of 3 recordings could not be read" in said.stderr
    assert "broken.mp3" in said.stderr
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["all.json", "one.json"]
    found = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    # of sentences of a second it has learnt nothing about half a minute, but times can be checked
    times = [time for word in found["words"] for time in (word["start_s"], word["end_s"])]
    assert times == sorted(times)
    assert 20.0 < times[-1] <= sum(map(len, clips)) / RATE
    assert found["text"] == " ".join(word["word"] for word in found["words"])
    said = preloaded.run(command[:-2], check=True)
    assert said.stdout == texts[3] + "\n"


@pytest.fixture(scope="session")
def uninterrupted(train: Train, options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Train 20 updates in one go: dropout, masks, a frozen start, a rate per layer."""
    return train(tmp_path_factory.mktemp("uninterrupted"), *options, *STAGED)


def test_killed_training_continues_to_the_same_weights(
    continued: Continued, options: tuple[str, ...], uninterrupted: Any
) -> None:
    resumed = continued((*options, *STAGED), 7, uninterrupted)
    assert resumed.checkpoint()["optimizer_history"][-1]["num_updates"] == 20


def test_training_is_not_continued_with_another_dictionary(
    train: Train, options: tuple[str, ...], corpus: Path, tmp_path: Path, uninterrupted: Any
) -> None:
    shutil.copytree(corpus, tmp_path / "corpus")
    dictionary = tmp_path / "corpus" / "dict.ltr.txt"
    lines = dictionary.read_text(encoding="utf-8").splitlines()
    dictionary.write_text("\n".join(lines[::-1]) + "\n", encoding="utf-8")
    shutil.copytree(uninterrupted.folder, tmp_path / "run")
    other = f"task.data={tmp_path / 'corpus'}"
    failed = train(tmp_path / "run", *options, *STAGED, other, "optimization.max_update=30", fails=True)
    assert "dict.ltr.txt: the checkpoint's symbols" in failed.output
    assert "restore the dictionary" in failed.output


def test_fine_tuning_takes_shape_and_weights_and_starts_a_new_output_layer(
    train: Train, options: tuple[str, ...], corpus: Path, alone: Path, tmp_path: Path
) -> None:
    shutil.copytree(corpus, tmp_path / "corpus")
    with (tmp_path / "corpus" / "dict.ltr.txt").open("a", encoding="utf-8") as file:
        file.write("é 0\n")
    tuned = train(
        tmp_path / "run",
        *options,
        *(f"task.data={tmp_path / 'corpus'}", f"+model.pretrained_path={alone}"),
        *("model.encoder_layers=7", "model.normalize=false", "model.freeze_finetune_updates=9"),
        "optimization.max_update=3",
    )
    assert "output layer left at random values" in tuned.output
    assert "it lacks ['é']" in tuned.output
    before, after = torch.load(alone, weights_only=True), tuned.checkpoint()
    network = after["cfg"]["model"]
    assert (network["encoder_layers"], network["normalize"]) == (2, True)
    for name, value in after["model"].items():
        if not name.startswith("w2v_encoder.proj."):
            assert torch.equal(value, before["model"][name]), name
    alone.unlink()
    assert load_recognizer(tmp_path / "run" / "checkpoint_last.pt").symbols[-1] == "é"


def test_two_ranks_learn_as_one(
    train: Train,
    training_command: Command,
    two_ranks: TwoRanks,
    differences: Differences,
    options: tuple[str, ...],
    tmp_path: Path,
) -> None:
    settings = (*options, *NO_DROPOUT, "optimization.max_update=4", "dataset.disable_validation=false")
    one = train(tmp_path / "one", *settings, "optimization.update_freq=[2]")
    folder = tmp_path / "two"
    result = two_ranks(training_command(folder, settings), folder)
    assert result.returncode == 0, result.stdout[-4000:]
    two = type(one)(folder, result.stdout, 0)
    assert sorted(two.updates) == sorted(one.updates) == [1, 2, 3, 4]
    assert two.updates == pytest.approx(one.updates, abs=2e-4)
    for name in ("valid_wer", "valid_cer", "valid_num_infeasible"):
        ours, theirs = ([row[name] for row in run.log if name in row] for run in (one, two))
        assert ours == theirs != [], name
    found = differences(one.checkpoint()["model"], two.checkpoint()["model"])
    assert max(found.values(), default=0.0) < 1e-5
