"""A made-up run for the tests of the analysis: its figures mean nothing and are never committed."""

import json
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from fairseq_ext.analysis import metrics
from fairseq_ext.analysis.predictions import Predictions, write_embeddings, write_predictions
from fairseq_ext.manifest import Utterance, write_manifest

LABELS = tuple("0123456789")
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEAKERS = ("anna", "bert", "clara")
RATE = 8000
ABOUT = {
    "title": "Spoken digits",
    "intro": "A made-up run.",
    "rows": {
        "linear_classifier": "Linear classifier",
        "temporal_cnn": "Temporal CNN",
        "simclr_probe": "SimCLR, probe",
    },
    "best": "temporal_cnn",
    "words": dict(
        zip(
            LABELS,
            ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
            strict=True,
        )
    ),
    "published": [{"protocol": "published", "row": "linear_classifier", "accuracy": 0.547}],
    "published_labels": 50,
}
SKILL = {"linear_classifier": 0.8, "temporal_cnn": 2.2, "simclr_probe": 1.6}
PROTOCOLS = {
    "published": list(SKILL),
    "one_speaker": ["temporal_cnn", "simclr_probe"],
    **{f"loso/{speaker}": ["temporal_cnn"] for speaker in SPEAKERS},
    **{f"labels/{n}": ["temporal_cnn", "simclr_probe"] for n in (1, 5, 10)},
    "leaky/0": ["temporal_cnn"],
    "leaky/1": ["temporal_cnn"],
    "elsewhere": ["linear_classifier"],
}


def write_tone(path: Path, digit: int, generator: np.random.Generator) -> int:
    """Writes a recording: a tone per digit, with noise; returns its number of samples."""
    num_samples = int(generator.integers(1600, 4000))
    time_s = np.arange(num_samples) / RATE
    waveform = 0.4 * np.sin(2 * np.pi * (250 + 150 * digit) * time_s) + 0.02 * generator.normal(
        size=num_samples
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, num_samples, "NONE", ""))
        file.writeframes((waveform * 32767).astype("<i2").tobytes())
    return num_samples


def write_corpus(folder: Path, root: Path, speakers: dict[str, Sequence[str]], per_digit: int = 2) -> None:
    """Writes tones and their manifests: one split per key of `speakers`."""
    generator = np.random.default_rng(7)
    for split, names in speakers.items():
        utterances = []
        for name in names:
            for digit in range(10):
                for index in range(per_digit):
                    relative = f"{digit}_{name}_{index}.wav"
                    size = write_tone(root / relative, digit, generator)
                    utterances.append(Utterance(relative[:-4], relative, size, speaker=name))
        write_manifest(folder, split, utterances, root=root, labels={"digit": lambda u: u.id[0]})


def write_row(
    folder: Path, protocol: str, row: str, seed: int, *, data: str = "synthetic", n: int = 60
) -> Path:
    """Writes a row of made-up answers and returns its folder."""
    generator = np.random.default_rng([seed, *map(ord, protocol + row)])
    targets = np.arange(n) % 10
    scores = generator.normal(size=(n, 10)).astype(np.float32)
    scores[np.arange(n), targets] += SKILL[row]
    speakers = tuple(SPEAKERS[i // 20 % 3] for i in range(n))
    ids = tuple(f"{t}_{s}_{i // 10 % 2}" for i, (t, s) in enumerate(zip(targets, speakers, strict=True)))
    answers = Predictions(ids, speakers, targets, scores, LABELS)
    out = folder / "rows" / protocol / row / f"seed{seed}"
    write_predictions(out / "predictions.tsv", answers)
    write_embeddings(out / "embeddings.npz", ids, speakers, [LABELS[t] for t in targets], scores)
    (out / "config.json").write_text(json.dumps({"task": {"sample_rate_hz": RATE}}))
    about = {"row": row, "protocol": protocol, "seed": seed, "data": data}
    made = {
        "commit": "0" * 40,
        "config_hash": "abcdef012345",
        "command": f"evaluate {folder}",
        "device": "cpu",
    }
    cost = {"num_parameters": 1234, "train_s": 5.5, "num_unreadable": 0}
    found = metrics.score(targets, answers.answers, speakers, LABELS)
    (out / "metrics.json").write_text(json.dumps({**about, **found, **made, **cost}))
    return out


def write_log(path: Path) -> None:
    """Writes a training log as fairseq does: JSON lines, some of them twice, among other text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["not a line of figures", '{"epoch": 1, "cut off']
    for epoch in range(1, 6):
        train = {
            "epoch": epoch,
            "train_loss": f"{2 / epoch:.3f}",
            "train_accuracy": f"{100 - 60 / epoch:.2f}",
        }
        train |= {"train_num_updates": str(40 * epoch), "train_wall": str(2 * epoch)}
        valid = {
            "epoch": epoch,
            "valid_loss": f"{2.2 / epoch:.3f}",
            "valid_accuracy": f"{95 - 60 / epoch:.2f}",
        }
        valid |= {"valid_num_updates": str(40 * epoch)}
        lines += [json.dumps(train)] * epoch + [json.dumps(valid)]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def make_row() -> Callable[..., Path]:
    """The writer of one made-up row."""
    return write_row


@pytest.fixture(scope="session")
def make_corpus() -> Callable[..., None]:
    """The writer of a corpus of tones."""
    return write_corpus


@pytest.fixture(scope="session")
def make_log() -> Callable[[Path], None]:
    """The writer of a training log."""
    return write_log


@pytest.fixture(scope="session")
def about() -> dict[str, object]:
    """What a recipe says of itself."""
    return dict(ABOUT)


@pytest.fixture(scope="session")
def made_up_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with recordings, logs, spectrograms and rows of every protocol; tests must not change it."""
    run = tmp_path_factory.mktemp("run")
    write_corpus(run / "manifests" / "published", run / "corpus", {"train": ["dora"], "test": SPEAKERS})
    for protocol, names in PROTOCOLS.items():
        for name in names:
            for seed in (1, 2):
                write_row(run, protocol, name, seed)
    for name in SKILL:
        write_log(run / "train" / "published" / name / "seed1" / "train.log")
    views = {f"view_{i}": np.random.default_rng(i).random((30 + i, 40), dtype=np.float32) for i in range(3)}
    best = run / "rows" / "published" / "temporal_cnn" / "seed1" / "spectrograms.npz"
    np.savez(best, names=["plain", "noise", "masks"], clip="0_dora_0", hop_ms=10.0, **views)
    return run
