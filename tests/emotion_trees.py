"""Small corpora of emotional speech in the published layouts: noise under the right names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 8000


@dataclass(frozen=True)
class Name:
    """The content of an empty file: each name is its own."""

    fingerprint: str
    num_samples: int = 16000
    trace: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def num_samples_at(self, sample_rate_hz: int) -> int:
        """Return the length, whatever the rate."""
        return self.num_samples


def by_name(path: Path) -> Name:
    """Take the name of a file for its content."""
    return Name(str(path))


def write_recording(path: Path, seed: int, *, num_samples: int = 1600, rate_hz: int = RATE_HZ) -> None:
    """Write noise that depends on the seed alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(num_samples), rate_hz)


def ravdess_names(actors: Iterable[int], emotions: Sequence[int] = (1, 5)) -> list[str]:
    """Return names of RAVDESS, two takes of each statement at normal intensity."""
    return [
        f"Actor_{a:02d}/03-01-{e:02d}-01-{s:02d}-{t:02d}-{a:02d}.wav"
        for a in actors
        for e in emotions
        for s in (1, 2)
        for t in (1, 2)
    ]


def write_ravdess(
    root: Path, actors: Iterable[int] = (1, 2), emotions: Sequence[int] = (1, 5), **options: int
) -> Path:
    """Write a small RAVDESS, with options of `write_recording`."""
    for seed, name in enumerate(ravdess_names(actors, emotions)):
        write_recording(root / name, seed, **options)
    return root


def write_crema_d(
    root: Path,
    actors: Iterable[int] = (1001, 1002, 1003, 1004),
    sentences: Sequence[str] = ("DFA", "IOM"),
    emotions: Sequence[str] = ("ANG", "NEU", "SAD"),
    *,
    tables: bool = True,
) -> Path:
    """Write a small CREMA-D; even numbers are women."""
    actors = list(actors)
    names = [f"{a}_{s}_{e}_XX" for a in actors for s in sentences for e in emotions]
    for seed, name in enumerate(names):
        write_recording(root / "AudioWAV" / f"{name}.wav", 1000 + seed)
    if tables:
        rows = [
            f'{a},{20 + a % 50},"{("Female", "Male")[a % 2]}","African American","Not Hispanic"'
            for a in actors
        ]
        header = '"ActorID","Age","Sex","Race","Ethnicity"'
        (root / "VideoDemographics.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        votes = [f'"{i}","{name}","{"A:D" if i % 2 else "N"}","50"' for i, name in enumerate(names, 1)]
        (root / "processedResults").mkdir()
        (root / "processedResults" / "summaryTable.csv").write_text(
            "\n".join(['"","FileName","VoiceVote","VoiceLevel"', *votes]) + "\n", encoding="utf-8"
        )
    return root


def write_iemocap(
    root: Path,
    sessions: Iterable[int] = (1, 2, 3),
    categories: Sequence[str] = ("neu", "exc", "ang", "fru", "xxx"),
) -> Path:
    """Write a small IEMOCAP: an improvised and a scripted dialogue per session, each category once by each speaker."""
    seed = 5000
    for session in sessions:
        for dialogue in (f"Ses{session:02d}F_impro01", f"Ses{session:02d}M_script01_1"):
            folder = root / f"Session{session}"
            lines, texts = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""], []
            for number, category in enumerate(categories):
                for speaker in "FM":
                    turn = f"{dialogue}_{speaker}{number:03d}"
                    lines += [
                        f"[{number}.0 - {number}.5]\t{turn}\t{category}\t[2.5000, 2.5000, 2.5000]",
                        "C-E1:\tNeutral;\t()",
                        "",
                    ]
                    texts.append(f"{turn} [{number:03d}.0000-{number:03d}.5000]: Excuse me {seed}.")
                    write_recording(folder / "sentences" / "wav" / dialogue / f"{turn}.wav", seed)
                    seed += 1
            for kind, content in (("EmoEvaluation", lines), ("transcriptions", texts)):
                (folder / "dialog" / kind).mkdir(parents=True, exist_ok=True)
                (folder / "dialog" / kind / f"{dialogue}.txt").write_text(
                    "\n".join(content) + "\n", encoding="utf-8"
                )
            # Archives made on a Mac hold such a file beside each one.
            (folder / "dialog" / "EmoEvaluation" / f"._{dialogue}.txt").write_bytes(b"\x00\x05\x16\x07\xff")
    return root
