"""A healthy folder of recordings and manifests, what it is checked against, and how findings are looked up."""

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fairseq_ext import preflight
from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.manifest import Utterance, write_manifest

RATE_HZ = 8000
TEXTS = ("la plaça és àmplia", "col·lega coŀlega", "què hi ha")
SPLITS = {"train": ("anna", "biel"), "valid": ("carla",), "test": ("dídac",)}


def write_wav(path: Path, num_samples: int, rate_hz: int = RATE_HZ, *, silent: bool = False) -> None:
    """Write a tone of 16 bit."""
    samples = np.sin(np.arange(num_samples) * 0.2) * (0 if silent else 8000)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())


def letters(utterance: Utterance) -> str:
    """Return the labels of a CTC model."""
    return " ".join((utterance.transcript or "").replace(" ", "|"))


def write_healthy(base: Path) -> None:
    """Write audio/ and manifest/ of three splits, two digits per speaker and text."""
    (base / "audio").mkdir()
    for split, speakers in SPLITS.items():
        utterances = []
        for speaker in speakers:
            for index in range(6):
                name = f"{index % 2}_{speaker}_{index}"
                num_samples = 8000 + 100 * index
                write_wav(base / "audio" / f"{name}.wav", num_samples)
                text = TEXTS[index % 3]
                utterances.append(
                    Utterance(name, f"{name}.wav", num_samples, transcript=text, speaker=speaker)
                )
        labels = {"digit": lambda u: u.id[0], "ltr": letters, "wrd": lambda u: u.transcript or ""}
        write_manifest(base / "manifest", split, utterances, root=base / "audio", labels=labels)
    write_dictionary(base / "manifest" / "dict.digit.txt", {"0": 1, "1": 1})
    write_dictionary(
        base / "manifest" / "dict.ltr.txt", dict.fromkeys(sorted(set("|".join(TEXTS)) - {" "}), 1)
    )


def edit(base: Path, name: str, change: Callable[[str], str]) -> None:
    """Rewrite a file of the manifest."""
    path = base / "manifest" / name
    path.write_bytes(change(path.read_bytes().decode()).encode())


OPTIONS = preflight.Options(
    sample_rate_hz=RATE_HZ,
    ctc=("ltr",),
    ctc_limits=preflight.CtcLimits(stride_samples=160),
    min_duration_s=0.5,
    max_duration_s=3.0,
    num_decode=None,
    num_workers=2,
)


def find(report: preflight.Report, words: str) -> preflight.Finding:
    """Return the finding whose problem contains the words."""
    found = [finding for finding in report.findings if words in finding.type.problem]
    assert len(found) == 1, report.text()
    return found[0]
