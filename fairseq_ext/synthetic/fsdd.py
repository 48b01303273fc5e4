"""A synthetic Free Spoken Digit Dataset in the published layout of the real one.

Layout (https://github.com/Jakobovski/free-spoken-digit-dataset, README, "Organization"): wav files, 8 kHz,
16 bit, mono, `recordings/{digit}_{speaker}_{index}.wav`; six speakers, 50 recordings per digit and
speaker, trimmed to little silence. Beside them, `SYNTHETIC.txt` in the root says what this is.

Each speaker has the accent, pace, trimming, level and noise floor of the real one (medians measured on the
real recordings); accents come from English words spelled for the voice of another language.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .corpus_folder import LABEL_FILE, describe
from .voices import Channel, Samples, Voice, speak
from .wav_folder import WavFolder

__all__ = ["LABEL_FILE", "SAMPLE_RATE_HZ", "SPEAKERS", "write"]

SUMMARY = "Free Spoken Digit Dataset: 10 digits, 6 speakers, 8 kHz"
SAMPLE_RATE_HZ = 8_000
NUM_PER_DIGIT = 50
# Raise it whenever the audio changes, so that a folder of an older version is not continued.
VERSION = 1
# Shortest and longest published recording, rounded inwards.
MIN_DURATION_S, MAX_DURATION_S = 0.15, 2.25

ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# The English words, spelled for the voice of another language, which then speaks them with its accent.
FRENCH = ("ziro", "ouane", "tou", "sri", "fore", "faillve", "sixe", "sévène", "eillte", "naillene")
GERMAN = ("siero", "uann", "tuh", "sri", "fohr", "feif", "ßix", "ßäwen", "ejt", "nein")
GREEK = ("ζίρο", "γουάν", "του", "θρι", "φορ", "φάιβ", "σιξ", "σέβεν", "έιτ", "νάιν")

# The six published speakers, all men: George (Greece), Jackson and Theo (USA), Nicolas (Belgium), Lucas and
# Yweweler (Germany). Noise floor and level as measured; margins and rates give their median lengths.
_VOICES = (
    Voice("george", "el", "m4", "male", 46, 45, 150, 1.02, 0.01, Channel(-10, -30, -4, 0.5, 90, 3800)),
    Voice("jackson", "en-us", "m3", "male", 40, 40, 140, 0.96, 0.03, Channel(-7, -28, -2, -1, 70, 3000)),
    Voice("lucas", "de", "m7", "male", 52, 50, 150, 1.0, 0.14, Channel(-6, -52, -6, -0.5, 50, 3600)),
    Voice("nicolas", "fr-be", "max", "male", 55, 55, 185, 1.04, -0.01, Channel(-12, -19, -6, -0.5, 60, 3000)),
    Voice("theo", "en-us", "Michael", "male", 58, 60, 180, 1.06, 0.0, Channel(-30, -22, -1, 0, 110, 3400)),
    Voice(
        "yweweler", "de", "edward2", "male", 47, 45, 190, 0.97, 0.03, Channel(-23, -36, -3, 0.5, 100, 3900)
    ),
)
_WORDS = {"el": GREEK, "en-us": ENGLISH, "de": GERMAN, "fr-be": FRENCH}
SPEAKERS = {voice.speaker: (voice, _WORDS[voice.language]) for voice in _VOICES}


def write(
    root: str | Path,
    *,
    num_per_digit: int = NUM_PER_DIGIT,
    speakers: Sequence[str] = tuple(SPEAKERS),
    seed: int = 1,
    num_workers: int = 1,
    progress: bool = True,
) -> int:
    """Write the corpus, or what is missing of it; return its number of recordings.

    A recording depends on the seed and its name only: a smaller corpus is a part of a larger one.

    Args:
        root: folder of the corpus, created when missing.
        num_per_digit: recordings of each digit per speaker.
        speakers: some of `SPEAKERS`.
        seed: random seed of the recordings; the speakers stay the same.
        num_workers: number of processes.
        progress: show a progress bar.
    """
    options: dict[str, Any] = {"seed": seed, "num_workers": num_workers, "progress": progress}
    return _CORPUS.write(Path(root), _names(num_per_digit, speakers), **options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this corpus to a parser."""
    about = f"recordings per digit and speaker (default: {NUM_PER_DIGIT})"
    parser.add_argument("--num-per-digit", type=int, default=NUM_PER_DIGIT, help=about)


def run(args: argparse.Namespace) -> str:
    """Write the corpus as the command line asks; return a line that says what there is now."""
    count = write(args.out, num_per_digit=args.num_per_digit, seed=args.seed, num_workers=args.workers)
    return describe({"recordings": count}, args.out)


def _names(num_per_digit: int, speakers: Sequence[str]) -> list[str]:
    """Return the file names of all recordings."""
    unknown = sorted(set(speakers) - set(SPEAKERS))
    if num_per_digit < 1 or not speakers or unknown:
        raise ValueError(
            f"synthetic FSDD: expected num_per_digit >= 1 and speakers of {', '.join(SPEAKERS)}; "
            f"found {num_per_digit} and {', '.join(speakers) or 'no speaker'}"
        )
    return [
        f"{digit}_{speaker}_{index}.wav"
        for speaker in dict.fromkeys(speakers)
        for digit in range(10)
        for index in range(num_per_digit)
    ]


def _say(name: str, seed: int) -> Samples:
    """Synthesise a recording, (S,) in [-1, 1] at 8 kHz, within the durations of the published corpus."""
    digit, speaker, index = name.split("_")
    voice, words = SPEAKERS[speaker]
    take = int(np.random.SeedSequence([seed, int(digit), int(index)]).generate_state(1)[0])
    samples = speak(voice, words[int(digit)], take=take, sample_rate_hz=SAMPLE_RATE_HZ).samples
    shortest, longest = round(MIN_DURATION_S * SAMPLE_RATE_HZ), round(MAX_DURATION_S * SAMPLE_RATE_HZ)
    return np.pad(samples[:longest], (0, max(0, shortest - len(samples))))


_CORPUS = WavFolder("fsdd", "recordings", SAMPLE_RATE_HZ, VERSION, _say)
