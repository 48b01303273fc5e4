"""Runs as unit test data for scoring and report: their figures mean nothing and are never committed."""

import json
import wave
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.scoring import metrics
from fairseq_ext.scoring.predictions import Predictions, write_embeddings, write_predictions
from fairseq_ext.scoring.recognition.scores import score_recognition
from fairseq_ext.scoring.recognition.transcripts import Transcripts, file_name, write_transcripts

LABELS = tuple("0123456789")
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEAKERS = ("anna", "bert", "clara")
RATE = 8000
ABOUT = {
    "title": "Spoken digits",
    "intro": "Unit test data.",
    "systems": {
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
    "published": [{"partition": "published", "system": "linear_classifier", "accuracy": 0.547}],
    "published_labels": 50,
}
SKILL = {"linear_classifier": 0.8, "temporal_cnn": 2.2, "simclr_probe": 1.6}
PARTITIONS = {
    "published": list(SKILL),
    "one_speaker": ["temporal_cnn", "simclr_probe"],
    **{f"loso/{speaker}": ["temporal_cnn"] for speaker in SPEAKERS},
    **{f"labels/{n}": ["temporal_cnn", "simclr_probe"] for n in (1, 5, 10)},
    "leaky/0": ["temporal_cnn"],
    "leaky/1": ["temporal_cnn"],
    "elsewhere": ["linear_classifier"],
}


def write_tone(path: Path, digit: int, generator: np.random.Generator) -> int:
    """Write a recording, a tone per digit with noise, and return its number of samples."""
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
    """Write tones and their manifests: one split per key of `speakers`."""
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


def write_system(
    folder: Path,
    partition: str,
    system: str,
    seed: int,
    *,
    data: str = "synthetic",
    n: int = 60,
    speakers: Sequence[str] = SPEAKERS,
) -> Path:
    """Write a scored system with random predictions, 20 recordings per speaker in turn, and return its folder."""
    generator = np.random.default_rng([seed, *map(ord, partition + system)])
    targets = np.arange(n) % 10
    scores = generator.normal(size=(n, 10)).astype(np.float32)
    scores[np.arange(n), targets] += SKILL[system]
    names = tuple(speakers[i // 20 % len(speakers)] for i in range(n))
    ids = tuple(f"{t}_{s}_{i // 10 % 2}" for i, (t, s) in enumerate(zip(targets, names, strict=True)))
    predictions = Predictions(ids, names, targets, scores, LABELS)
    out = folder / "scores" / partition / system / f"seed{seed}"
    write_predictions(out / "predictions.tsv", predictions)
    write_embeddings(out / "embeddings.npz", ids, names, [LABELS[t] for t in targets], scores)
    (out / "config.json").write_text(json.dumps({"task": {"sample_rate_hz": RATE}}))
    about = {"system": system, "partition": partition, "seed": seed, "data": data}
    made = {
        "commit": "0" * 40,
        "config_hash": "abcdef012345",
        "command": f"evaluate {folder}",
        "device": "cpu",
    }
    cost = {"num_parameters": 1234, "train_s": 5.5, "num_unreadable": 0}
    found = metrics.score(targets, scores.argmax(axis=1), names, LABELS)
    (out / "metrics.json").write_text(json.dumps({**about, **found, **made, **cost}))
    return out


def write_spectrograms(folder: Path) -> None:
    """Write the views of a training recording that a classifier with a front-end leaves."""
    views = {f"view_{i}": np.random.default_rng(i).random((30 + i, 40), dtype=np.float32) for i in range(3)}
    names = ["plain", "noise", "masks"]
    np.savez(folder / "spectrograms.npz", names=names, clip="0_dora_0", hop_ms=10.0, **views)


def write_folds(run: Path, speakers: Sequence[str], *, family: str = "leave_one_out") -> None:
    """Write everything a run of a folder-per-class corpus leaves: a speaker tested per fold, by all others' systems."""
    for speaker in speakers:
        partition = f"{family}/{speaker}"
        others = [name for name in speakers if name != speaker]
        write_corpus(
            run / "manifests" / partition, run / "corpus" / speaker, {"train": others, "test": [speaker]}
        )
        for system in ("linear_classifier", "temporal_cnn"):
            write_log(run / "train" / partition / system / "seed1" / "train.log")
            write_spectrograms(write_system(run, partition, system, 1, n=20, speakers=[speaker]))


def write_log(path: Path) -> None:
    """Write a training log as fairseq does: JSON lines, some of them twice, among other text."""
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
def make_system() -> Callable[..., Path]:
    """Return the writer of a scored classifier."""
    return write_system


@pytest.fixture(scope="session")
def make_corpus() -> Callable[..., None]:
    """Return the writer of a corpus of tones."""
    return write_corpus


@pytest.fixture(scope="session")
def make_log() -> Callable[[Path], None]:
    """Return the writer of a training log."""
    return write_log


@pytest.fixture(scope="session")
def about() -> dict[str, object]:
    """Return the report.json of a recipe."""
    return dict(ABOUT)


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with recordings, logs, spectrograms and systems of every partition; tests must not change it."""
    run = tmp_path_factory.mktemp("run")
    write_corpus(run / "manifests" / "published", run / "corpus", {"train": ["dora"], "test": SPEAKERS})
    for partition, names in PARTITIONS.items():
        for name in names:
            for seed in (1, 2):
                write_system(run, partition, name, seed)
    for name in SKILL:
        write_log(run / "train" / "published" / name / "seed1" / "train.log")
    write_spectrograms(run / "scores" / "published" / "temporal_cnn" / "seed1")
    return run


@pytest.fixture(scope="session")
def make_folds() -> Callable[..., None]:
    """Return the writer of a run that leaves one speaker out at a time."""
    return write_folds


# A run of recognisers, a pre-training, and classifiers of the same speakers.
SENTENCES = (
    "L’aigua d'aquell pou és freda.",
    "Ça, la col·lecció és a Barcelona!",
    "Vint-i-dos gats i 3 gossos.",
    "Demà plourà a les Illes.",
    "<b>El mar</b> & la muntanya",
)
VOICES = {f"veu{i}": (("central", "balear", None)[i % 3], ("female", "male")[i % 2]) for i in range(9)}
MINUTES = {"labels/1": 1, "labels/10": 10}
# Share of words that are wrong, by system and decoder.
MISTAKES = {"scratch": {"greedy": 0.5, "lm": 0.4}, "ssl": {"greedy": 0.25, "lm": 0.15}}
SPEECH_ABOUT = {
    "title": "Català",
    "systems": {
        "scratch": "From random values",
        "ssl": "Pre-trained",
        "majority": "Majority",
        "ctc": "Pre-training",
    },
    "headline": ["labels/10", "accent", "gender"],
    "partitions": {"labels/10": "10 minutes", "accent": "Accent", "gender": "Gender"},
    "best": {"recognition": "ssl", "accent": "ssl", "gender": "ssl"},
    "compare": [["ssl", "scratch"]],
    "leaky": {"accent_leaky": "accent"},
    "metric": "macro_f1",
}


def with_errors(text: str, share: float, generator: np.random.Generator) -> str:
    """Leave words out, double them, or take another."""
    words = []
    for word in text.split():
        draw = generator.random()
        words += [word] if draw > share else ([], ["ŀla"], [word, "ça"])[int(3 * draw / share) % 3]
    return " ".join(words)


def speech_utterances() -> list[Utterance]:
    """Return two sentences of each voice."""
    return [
        Utterance(
            *(f"{voice}_{i}", f"{3 * int(voice[-1]) % 10}_{i}.wav", 4000),
            transcript=SENTENCES[(i + int(voice[-1])) % len(SENTENCES)],
            speaker=voice,
            language="ca",
            accent=accent,
            gender=gender,
        )
        for voice, (accent, gender) in VOICES.items()
        for i in range(2)
    ]


def common_keys(system: str, partition: str, seed: int, kind: str) -> dict[str, object]:
    """Return what every metrics.json holds."""
    names = {"system": system, "kind": kind, "partition": partition, "seed": seed, "data": "synthetic"}
    made = {"commit": "0" * 40, "config_hash": "abcdef012345", "command": "recognise", "device": "cpu"}
    return {**names, **made, "num_parameters": 123456, "train_s": 30.5}


def write_recogniser(
    folder: Path,
    partition: str,
    system: str,
    seed: int,
    minutes: float,
    *,
    voices: Sequence[str] = tuple(VOICES),
) -> Path:
    """Write a scored recogniser with random errors, tested on some voices, and return its folder."""
    generator = np.random.default_rng([seed, len(system), int(minutes)])
    said = [u for u in speech_utterances() if u.speaker in voices]
    references, speakers = [u.transcript or "" for u in said], [u.speaker or "" for u in said]
    who = (speakers, [u.accent for u in said], [u.gender for u in said])
    out = folder / "scores" / partition / system / f"seed{seed}"
    decoders = {}
    for name, share in MISTAKES[system].items():
        recognised = [with_errors(text, share / minutes**0.1, generator) for text in references]
        rows = Transcripts(tuple(u.id for u in said), tuple(speakers), tuple(references), tuple(recognised))
        write_transcripts(out / file_name(name), rows)
        settings = {"alpha": 0.5, "beta": 1.0, "lm": "words.arpa"} if name == "lm" else {}
        score = score_recognition(references, recognised, *who, "ca")
        decoders[name] = {"settings": settings, "real_time_factor": 0.01, **score}
    cost = {"labelled_minutes": minutes, "num_updates": 400, "num_unreadable": 0, "split": "test"}
    cost |= {"num_shared_speakers": 0, "num_known_sentences": 7}
    about = {"n": len(said), "num_speakers": len(voices), "hours": 0.0025, "language": "ca"}
    (out / "config.json").write_text(json.dumps({"task": {"sample_rate_hz": RATE}}))
    common = common_keys(system, partition, seed, "recognition")
    (out / "metrics.json").write_text(json.dumps({**common, **about, **cost, "decoders": decoders}))
    return out


def write_classifier(folder: Path, partition: str, system: str, seed: int, skill: float) -> None:
    """Write a scored classifier of two classes with random predictions."""
    generator = np.random.default_rng([seed, *map(ord, partition + system)])
    targets = np.arange(40) % 2
    scores = generator.normal(size=(40, 2)).astype(np.float32)
    scores[np.arange(40), targets] += skill
    speakers = [f"veu{i % 8}" for i in range(40)]
    found = metrics.score(targets, scores.argmax(1), speakers, ("balear", "central"))
    out = folder / "scores" / partition / system / f"seed{seed}"
    out.mkdir(parents=True)
    (out / "metrics.json").write_text(
        json.dumps(common_keys(system, partition, seed, "classification") | {**found})
    )


def write_pretraining(folder: Path) -> None:
    """Write a pre-training's log, lines within its two epochs included, and its metrics.json."""
    log = folder / "train" / "ssl" / "ctc" / "seed1" / "train.log"
    log.parent.mkdir(parents=True)
    names = ("loss", "contrastive", "diversity", "accuracy", "code_perplexity", "prob_perplexity")
    lines = []
    for update in range(50, 401, 50):
        figures = {name: f"{(i + 1) * 100 / update:.3f}" for i, name in enumerate(names)}
        lines.append({**figures, "num_updates": str(update)})
        if update % 200 == 0:
            lines.append({f"train_{k}": v for k, v in figures.items()} | {"train_num_updates": str(update)})
            lines.append({f"valid_{k}": v for k, v in figures.items()} | {"valid_num_updates": str(update)})
    log.write_text("\n".join(map(json.dumps, lines)) + "\n")
    out = folder / "scores" / "ssl" / "ctc" / "seed1"
    out.mkdir(parents=True)
    figures = {name: (i + 1) / 4 for i, name in enumerate(names)}
    found = {"n": 50, "hours": 1.25, "num_updates": 400, "split": "valid", "metrics": figures}
    (out / "metrics.json").write_text(json.dumps(common_keys("ctc", "ssl", 1, "pretraining") | found))


@pytest.fixture(scope="session")
def make_tone() -> Callable[..., int]:
    """Return the writer of a recording, a tone per digit."""
    return write_tone


@pytest.fixture(scope="session")
def make_recogniser() -> Callable[..., Path]:
    """Return the writer of a scored recogniser."""
    return write_recogniser


@pytest.fixture(scope="session")
def speech_about() -> dict[str, object]:
    """Return the report.json of the recognisers' recipe."""
    return dict(SPEECH_ABOUT)


@pytest.fixture(scope="session")
def speech_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of every result type with recordings, logs, and what other tools left; tests must not change it."""
    run = tmp_path_factory.mktemp("speech")
    generator = np.random.default_rng(7)
    tones = {
        u.path: write_tone(run / "corpus" / u.path, int(u.path[0]), generator) for u in speech_utterances()
    }
    said = [replace(u, num_samples=tones[u.path]) for u in speech_utterances()]
    for partition, minutes in MINUTES.items():
        write_manifest(run / "manifests" / partition, "test", said, root=run / "corpus")
        for system in MISTAKES:
            for seed in (1, 2):
                write_recogniser(run, partition, system, seed, minutes)
            write_log(run / "train" / partition / system / "seed1" / "train.log")
    for partition, skill in {"accent": 0.8, "accent_leaky": 3.0, "gender": 2.0}.items():
        write_classifier(run, partition, "ssl", 1, skill)
        write_classifier(run, partition, "majority", 1, 0.0)
    write_pretraining(run)
    (run / "attribution").mkdir()
    PIL.Image.new("RGB", (300, 120), "#0072B2").save(run / "attribution" / "word.png")
    words = {
        "title": "The word «ça»",
        "caption": "HiRes-CAM <over> the log-mel",
        "description": "A heat map, over time.",
    }
    (run / "attribution" / "word.json").write_text(json.dumps(words))
    hits = {
        "title": "Pointing game",
        "header": ["Method", "Hits %"],
        "rows": [["HiRes-CAM", "100.0"]],
        "note": "n",
    }
    (run / "attribution" / "hits.json").write_text(json.dumps(hits))
    return run
