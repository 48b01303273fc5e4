"""Step labels: speech per second that Whisper labels, openai-whisper clip by clip against our engine in batches.

Random weights, made here, in the shape of Whisper base: they say how fast, not how well. They never end a text, so both
sides stop after as many tokens as such clips have, at temperature 0. Neither side looks for speech: the detector comes
with faster-whisper, whose CTranslate2 is too large to carry. Half precision on a GPU, as both sides choose by default.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import label
import ssl_step
import torch
from forks import in_fork
from results import Report, say

from fairseq_ext.synthetic.whisper import write_random


@dataclass(frozen=True)
class Settings:
    """Shape of the model, clips, and searches."""

    device: str
    size: str = "base"
    clips: int = 32
    seconds: float = 8.0
    beams: tuple[int, ...] = (5,)
    batch_sizes: tuple[int, ...] = (8, 32)
    engines: tuple[str, ...] = ("openai.pt", "hf")
    threads: int = 4  # of the cores, for spectrograms; the others make the corpus of step pretraining


def settings(device: str, *, tiny: bool, seconds: float) -> Settings:
    """Return the settings of a run: Whisper base, or a toy."""
    if tiny:
        return Settings(device, "toy", clips=2, seconds=2.0, beams=(2,), batch_sizes=(2,), threads=1)
    return Settings(device)


def run(chosen: Settings, work: Path, report: Report) -> None:
    """Make clips and a model, label them with each system in a process of its own, report after each."""
    clips = in_fork(label.make_clips, chosen.clips, chosen.seconds, 0.0)
    audio_s = sum(len(clip.waveform) for clip in clips) / label.RATE
    in_fork(_write_model, work, chosen)
    rows: dict[str, Any] = {}
    failures = {}
    for beam in chosen.beams:
        systems: list[tuple[str, int]] = [("", 1)]
        systems += [(engine, size) for engine in chosen.engines for size in chosen.batch_sizes]
        for engine, batch_size in systems:
            name = f"beam {beam}, {f'ours on {engine}, batch {batch_size}' if engine else 'openai-whisper'}"
            try:
                rows[name] = in_fork(_measure, chosen, work, clips, engine, batch_size, beam)
            except Exception as error:  # of transformers, whisper, CUDA: the other rows count all the same
                failures[name] = f"{type(error).__name__}: {error}"
                say(f"labels: {name} failed: {error}")
            else:
                say(f"labels: {name}: {rows[name]['speech_s_per_s']:.0f} s of speech per second")
            report(speech_s=audio_s, systems=_compared(rows), failures=failures)
    if failures:
        raise RuntimeError(f"{len(failures)} systems failed: {failures}")


def _write_model(work: Path, chosen: Settings) -> None:
    width, layers, heads = label.SIZES[chosen.size]
    formats = ["openai", *(["hf"] if "hf" in chosen.engines else [])]
    write_random(work, seed=0, d_model=width, layers=layers, heads=heads, formats=formats)


def _measure(
    chosen: Settings, work: Path, clips: list[label.Clip], engine: str, batch_size: int, beam: int
) -> dict[str, Any]:
    """Measure a system; `engine` is a file or folder of the model for ours, empty for openai-whisper."""
    torch.set_num_threads(chosen.threads)
    args = argparse.Namespace(device=chosen.device, batch_size=batch_size)
    audio_s = sum(len(clip.waveform) for clip in clips) / label.RATE
    cap = max(1, round(label.TOKENS_PER_S * audio_s / len(clips)))
    if engine:
        run_it = label.engine_alone(work / engine, args, beam, cap, "auto")
    else:
        run_it = label.theirs(work, args, beam, cap)
    seconds, found = label.measure(run_it, clips, True)
    return {
        "speech_s_per_s": audio_s / seconds,
        "seconds": seconds,
        "peak_mb": ssl_step.peak_mb(chosen.device),
        "tokens_at_most": cap,
        "texts": [text for _, text in found],
    }


def _compared(rows: dict[str, Any]) -> dict[str, Any]:
    """Return the rows without their texts, each with its speed-up over openai-whisper's of the same beam."""
    result = {}
    for name, row in rows.items():
        reference = rows.get(f"{name.split(', ')[0]}, openai-whisper")
        result[name] = {key: value for key, value in row.items() if key != "texts"}
        if reference is not None and row is not reference:
            same = sum(a.strip() == b.strip() for a, b in zip(row["texts"], reference["texts"], strict=True))
            result[name] |= {
                "speed_up": reference["seconds"] / row["seconds"],
                # openai-whisper pads its spectrogram with zeros, not with silence, so random weights say other things
                "share_of_equal_texts": same / len(row["texts"]),
            }
    return result
