"""A synthetic L2-ARCTIC in the published layout of the real one: six first languages in voices of espeak-ng.

Layout (https://psi.engr.tamu.edu/l2-arctic-corpus/, README, "Directory structure"): `SPEAKER/wav/arctic_a0001.wav` and
`SPEAKER/transcript/arctic_a0001.txt`, the same prompts of every speaker. The sample rate is 16 kHz, not 44.1 kHz, which
espeak-ng has nothing for. There is no `annotation`, which the real corpus has of 150 recordings a speaker. The speakers
are not those of L2-ARCTIC, so `speakers.tsv` in the root says who they are, and `SYNTHETIC.txt` what this is.

An accent is a set of rules of sounds, see `accents`, which a speaker applies more or less often. All else is drawn in
the same way for every accent: voice variant, pitch, rate, vocal tract, level and noise are those of one pool, which the
accents share out in turn, as many women as men; a sentence takes as long as in American English by the same voice. So
what a system finds in pitch, rate, length, gender or channel says nothing of the accent of an unseen speaker. The
settings are not the same ones in each accent: a voice that is left out of one accent would then be known from the other
five, and systems that hear the voice would be below chance (MFCC statistics: macro-F1 9 %, chance 17 %).
"""

import argparse
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ..files import atomic_write
from .accents import ACCENTS, LANGUAGE, accented
from .corpus_folder import LABEL_FILE, describe
from .speech import RATE_RANGE_WPM, synthesise
from .voices import Channel, Samples, Voice, speak, voice_pool
from .wav_folder import WavFolder

__all__ = ["LABEL_FILE", "SAMPLE_RATE_HZ", "write"]

SUMMARY = "L2-ARCTIC: 6 first languages, 8 speakers each, 20 prompts in English, 16 kHz"
SAMPLE_RATE_HZ = 16_000
NUM_SPEAKERS, MOST_SPEAKERS = 8, 48
NUM_PROMPTS = 20
# Raise it whenever the audio changes, so that a folder of an older version is not continued.
VERSION = 1
# The same speakers for every seed; another seed gives other takes.
_VOICES_SEED = 2018
# All speak into one microphone in a quiet room, as in the real corpus.
_STUDIO = Channel(peak_dbfs=-8.0, noise_db=-45.0, low_cut_hz=60.0)
# How many of the sounds that a rule fits to a speaker replaces: a light accent to a heavy one. Of 8 speakers and 8
# prompts means and deviations of MFCCs tell 41 % of the recordings of unseen speakers (logistic regression), the length
# 18 %, chance is 17 %; histograms of 200 clusters of normalised MFCCs with context, of 6 prompts, 69 % (macro-F1).
# With 0.55 to 0.95 MFCCs of 5 prompts tell 30 %.
_STRENGTHS = (0.8, 1.0)
PROMPTS = (
    "The brown horse was thirsty after three hours in the sun.",
    "She usually reads the paper with her brother on Sunday.",
    "Please bring fresh bread and cheese to the village.",
    "We think the weather will be better on Thursday.",
    "His father gave him very good advice about the job.",
    "A small yellow bird sat on the edge of the river.",
    "Children should always choose their own shoes.",
    "The students were surprised by the strange noise.",
    "Have you ever visited this valley in the winter?",
    "My mother cooks rice with vegetables and fish.",
    "That road runs straight through the old forest.",
    "It is cheap to travel by train in this region.",
    "They spoke for a while and then went home together.",
    "The large box of books is under the white table.",
    "Both of these watches are broken, I believe.",
    "Zebras and giraffes live in the other part of the zoo.",
    "Would you like another cup of hot chocolate?",
    "He pushed the heavy door and walked in without a word.",
    "The picture on the wall is worth a thousand pounds.",
    "Just breathe slowly and count from one to twelve.",
    "Nothing was left of the lovely garden after the storm.",
    "Every evening the fisherman pulls his boat on the beach.",
    "Her job is to judge the quality of green apples.",
    "The measure of success is how much you enjoy it.",
    "I would rather wash the dishes than cut the grass.",
    "Those people work in the factory near the bridge.",
    "First they sing, and later they will dance a little.",
    "The blue vase fell from the shelf and broke.",
    "Is there a village with a church behind that hill?",
    "You have to turn right at the third red house.",
    "The young nurse gave each patient a warm blanket.",
    "Put the spoons, the forks and the knives in the drawer.",
    "We were thrilled to see the ship in the harbour.",
    "A healthy breakfast gives you strength for the whole day.",
    "This machine changes plastic bottles into cloth.",
    "The judge asked the witness to describe the thief.",
    "Our teacher writes every new word on the blackboard.",
    "Who left the oven on for the whole night?",
    "Snow covered the path that leads to the castle.",
    "The last bus leaves the square at half past eleven.",
)


@dataclass(frozen=True, slots=True)
class Learner:
    """A speaker: a voice, an accent, and the share of its rules that the speaker follows."""

    voice: Voice
    accent: str
    strength: float


def write(
    root: str | Path,
    *,
    num_speakers: int = NUM_SPEAKERS,
    num_prompts: int = NUM_PROMPTS,
    seed: int = 1,
    num_workers: int = 1,
    progress: bool = True,
) -> int:
    """Write the corpus, or what is missing of it; return its number of recordings.

    A recording depends on the seed and its name only: a smaller corpus is a part of a larger one.

    Args:
        root: folder of the corpus, created when missing.
        num_speakers: speakers of each accent, women and men in turn.
        num_prompts: the first of `PROMPTS`.
        seed: random seed of the recordings; the speakers stay the same.
        num_workers: number of processes.
        progress: show a progress bar.
    """
    root, names = Path(root), _names(num_speakers, num_prompts)
    options: dict[str, Any] = {"seed": seed, "num_workers": num_workers, "progress": progress}
    return _CORPUS.write(root, names, write_tables=partial(_write_tables, root, names), **options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this corpus to a parser."""
    about = f"speakers of each accent, at most {MOST_SPEAKERS} (default: {NUM_SPEAKERS})"
    parser.add_argument("--num-speakers", type=int, default=NUM_SPEAKERS, help=about)
    about = f"the first N of the {len(PROMPTS)} prompts (default: {NUM_PROMPTS})"
    parser.add_argument("--num-prompts", type=int, default=NUM_PROMPTS, help=about)


def run(args: argparse.Namespace) -> str:
    """Write the corpus as the command line asks; return a line that says what there is now."""
    options = {"num_speakers": args.num_speakers, "num_prompts": args.num_prompts}
    count = write(args.out, **options, seed=args.seed, num_workers=args.workers)
    return describe({"speakers": len(ACCENTS) * args.num_speakers, "recordings": count}, args.out)


def _names(num_speakers: int, num_prompts: int) -> list[str]:
    """Return the paths of all recordings."""
    if not (1 <= num_speakers <= MOST_SPEAKERS and 1 <= num_prompts <= len(PROMPTS)):
        raise ValueError(
            f"synthetic L2-ARCTIC: 1 to {MOST_SPEAKERS} speakers of each accent and 1 to {len(PROMPTS)} prompts "
            f"expected, found {num_speakers} and {num_prompts}"
        )
    return [
        f"{accent[:3].upper()}{number:02d}/wav/arctic_a{prompt:04d}.wav"
        for accent in ACCENTS
        for number in range(1, num_speakers + 1)
        for prompt in range(1, num_prompts + 1)
    ]


@cache
def learner(name: str) -> Learner:
    """Return a speaker by name: the first three letters of the accent, and a number from 1, such as "ARA01"."""
    turn, accent = next((n, a) for n, a in enumerate(ACCENTS) if a[:3].upper() == name[:3])
    pair, gender = divmod(int(name[3:]) - 1, 2)  # women and men in turn, as in the pool
    voice = _pool()[2 * (len(ACCENTS) * pair + turn) + gender]
    own = np.random.default_rng([_VOICES_SEED, *name.encode()])
    channel = replace(
        _STUDIO,
        peak_dbfs=_STUDIO.peak_dbfs + float(own.normal(0, 2)),
        noise_db=_STUDIO.noise_db + float(own.normal(0, 4)),
        tilt_db=float(own.normal(0, 0.5)),
    )
    # Half of the pool's spread of pitch, rate and vocal tract: otherwise voices hide the accents from means of spectra.
    voice = replace(
        voice,
        speaker=name,
        pitch=48 + (voice.pitch - 48) // 2,
        rate_wpm=160 + (voice.rate_wpm - 160) // 2,
        tract_scale=voice.tract_scale**0.5,
        channel=channel,
    )
    return Learner(voice, accent, float(own.uniform(*_STRENGTHS)))


@cache
def _pool() -> list[Voice]:
    return voice_pool(LANGUAGE, len(ACCENTS) * MOST_SPEAKERS, seed=_VOICES_SEED)


def _say(name: str, seed: int) -> Samples:
    """Synthesise a recording, (S,) in [-1, 1] at 16 kHz."""
    speaker, _, prompt = name.split("/")
    text, who = PROMPTS[int(prompt[-4:]) - 1], learner(speaker)
    take = int(np.random.SeedSequence([seed, *name.encode()]).generate_state(1)[0])
    phonemes = accented(text, who.accent, strength=who.strength, seed=take)
    voice = replace(who.voice, rate_wpm=_rate(who.voice.rate_wpm, text, phonemes))
    return speak(voice, phonemes, take=take, sample_rate_hz=SAMPLE_RATE_HZ, is_phonemes=True).samples


def _rate(rate_wpm: int, text: str, phonemes: str) -> int:
    """Return the rate at which the phonemes take as long as the text in American English at another rate."""
    return int(np.clip(round(rate_wpm * _seconds(phonemes) / _plain_seconds(text)), *RATE_RANGE_WPM))


@cache
def _plain_seconds(text: str) -> float:
    return _seconds(accented(text, "", strength=1, seed=0))


def _seconds(phonemes: str, rate_wpm: int = 160) -> float:
    spoken = synthesise(phonemes, language=LANGUAGE, rate_wpm=rate_wpm, is_phonemes=True).phonemes
    return spoken[-1].end_s - spoken[0].start_s


def _write_tables(root: Path, names: list[str]) -> None:
    """Write the transcripts that are missing, and the table of the speakers."""
    for name in names:
        speaker, _, wav = name.split("/")
        path = root / speaker / "transcript" / f"{Path(wav).stem}.txt"
        text = f"{PROMPTS[int(path.stem[-4:]) - 1]}\n"
        path.parent.mkdir(exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    with atomic_write(root / "speakers.tsv") as file:
        file.write("speaker\taccent\tgender\n")
        for speaker in dict.fromkeys(name.split("/")[0] for name in names):
            file.write(f"{speaker}\t{learner(speaker).accent}\t{learner(speaker).voice.gender}\n")


_CORPUS = WavFolder("l2_arctic", "", SAMPLE_RATE_HZ, VERSION, _say, pattern="*/wav/*")
