"""Errors of the trained tiny Whisper on unseen phrases and voices, run by faster-whisper (int8, CPU).

Synthetic throughout: these figures say how good a demonstration's labels are, and nothing about real speech.

    python tools/make_tiny_whisper.py --out MODEL
    python tests/bench/tiny_whisper.py --model MODEL/ct2

`avg_logprob` should separate good transcripts from bad ones (the table has the WER of the confident half and of the
other half), and noise should be recognised as silence. nan in the column of noise: no text at all was written.
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from fairseq_ext.synthetic import phrases
from fairseq_ext.synthetic.voices import speak, voice_pool
from fairseq_ext.text.scoring import ErrorCounts, count_errors, total


class Transcript(NamedTuple):
    """The transcript of a clip."""

    language: str
    found: str
    counts: ErrorCounts
    avg_logprob: float


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="its folder ct2")
    parser.add_argument("--clips", type=int, default=40, help="per language, each of a voice (default: 40)")
    parser.add_argument("--seed", type=int, default=11, help="of phrases and voices (default: 11)")
    parser.add_argument("--languages", nargs="+", default=phrases.LANGUAGES, choices=phrases.LANGUAGES)
    parser.add_argument("--timestamps", action="store_true", help="ask for them too")
    return parser.parse_args()


def transcribe(model, samples: np.ndarray, timestamps: bool) -> tuple[str, str, float, float]:
    """Return language, text, mean log-probability and probability of silence (nan: nothing was found)."""
    segments, info = model.transcribe(
        samples,
        beam_size=1,
        temperature=0.0,
        without_timestamps=not timestamps,
        condition_on_previous_text=False,
        no_speech_threshold=None,
        log_prob_threshold=None,
        max_new_tokens=40,
    )
    found = list(segments)
    if not found:
        return info.language, "", float("nan"), float("nan")
    text = " ".join(segment.text.strip() for segment in found)
    return info.language, text, found[0].avg_logprob, found[0].no_speech_prob


def main() -> None:
    """Synthesise clips, transcribe them, and print a table."""
    import faster_whisper

    args = parse_args()
    model = faster_whisper.WhisperModel(
        str(args.model), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
    )
    transcripts: list[Transcript] = []
    no_speech: list[float] = []
    cpu_s = 0.0
    for language in args.languages:
        spoken = phrases.draw(language, "test", args.clips, seed=args.seed)
        voices = voice_pool(language, args.clips, seed=args.seed)
        for phrase, voice in tqdm(list(zip(spoken, voices, strict=True)), desc=language):
            samples = speak(voice, phrase.text).samples
            start = time.process_time()
            found, text, logprob, silent = transcribe(model, samples, args.timestamps)
            cpu_s += time.process_time() - start
            transcripts.append(Transcript(language, found, count_errors(phrase.words, text.split()), logprob))
            no_speech.append(silent)
    print("| language | clips | language found | WER |\n|---|---|---|---|")
    for language in [*args.languages, "all"]:
        rows = [row for row in transcripts if language in (row.language, "all")]
        right = np.mean([row.language == row.found for row in rows])
        print(f"| {language} | {len(rows)} | {right:.1%} | {total(r.counts for r in rows).rate:.1%} |")
    ranked = sorted(transcripts, key=lambda row: -row.avg_logprob)
    half = len(ranked) // 2
    for name, rows in (("confident", ranked[:half]), ("other", ranked[half:])):
        counts = total(row.counts for row in rows)
        print(f"{name} half by avg_logprob: WER {counts.rate:.1%}, down to {rows[-1].avg_logprob:.2f}")
    print(
        f"no_speech_prob of speech: median {np.nanmedian(no_speech):.4f}, highest {np.nanmax(no_speech):.3f}"
    )
    rng = np.random.default_rng(args.seed)
    for level_db in (-np.inf, -80.0, -60.0, -40.0, -20.0):
        samples = rng.normal(scale=10 ** (level_db / 20), size=48_000).astype(np.float32)
        _, text, logprob, silent = transcribe(model, samples, args.timestamps)
        print(f"noise at {level_db} dBFS: no_speech_prob {silent:.3f}, avg_logprob {logprob:.2f}, {text!r}")
    print(f"{len(transcripts) / cpu_s:.1f} clips in a CPU second")


if __name__ == "__main__":
    main()
