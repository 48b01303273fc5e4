"""A split of transcribed speech, and what a recogniser makes of it before any decoding.

Legend: N utterances, B of them in a batch, S samples and T frames of the longest, V symbols.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ...line_index import AudioEntry, AudioIndex
from ...manifest import Utterance, read_manifest
from ..embeddings import read_waveforms
from ..trained import Recognizer

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class SpeechSplit:
    """The transcribed utterances of one split of a manifest folder, all of the same length N."""

    entries: tuple[AudioEntry, ...]
    utterances: tuple[Utterance, ...]

    @property
    def references(self) -> list[str]:
        """The texts as they were written."""
        return [u.transcript or "" for u in self.utterances]

    def subset(self, rows: Sequence[int]) -> SpeechSplit:
        """Picks some utterances.

        Args:
            rows: their positions.

        Returns:
            The smaller split.
        """
        return SpeechSplit(tuple(self.entries[i] for i in rows), tuple(self.utterances[i] for i in rows))


def read_speech(folder: Path, split: str) -> SpeechSplit:
    """Reads a split with its transcripts.

    Args:
        folder: manifest folder.
        split: such as `test`.

    Returns:
        The split.

    Raises:
        ValueError: rows do not match, or a speaker or transcript is not known.
    """
    where = f"{folder}/{split}"
    index = AudioIndex(Path(folder) / f"{split}.tsv")
    utterances = tuple(read_manifest(folder, split))
    for what in ("speaker", "transcript"):
        without = [u.id for u in utterances if not getattr(u, what)]
        if without:
            raise ValueError(
                f"{where}: a {what} of every utterance expected, found none for {without[:3]} (and {len(without)} in "
                "all); word error rates need both columns of the sidecar"
            )
    return SpeechSplit(tuple(index.entry(i) for i in range(len(index))), utterances)


def language_of(split: SpeechSplit, where: str) -> str:
    """The language of a split.

    Args:
        split: its utterances.
        where: names the split in the error.

    Returns:
        Its code.

    Raises:
        ValueError: the sidecar names none, or several.
    """
    found = sorted({u.language or "" for u in split.utterances})
    if len(found) != 1 or not found[0]:
        raise ValueError(
            f"{where}: one language in the sidecar expected, found {found}; give it with --language"
        )
    return found[0]


def overlap(
    folder: Path, train_split: str, tested: SpeechSplit, spell: Callable[[str], str]
) -> dict[str, Any]:
    """Counts what was met in training already: 0 is what makes a score one of unseen speakers and sentences.

    Args:
        folder: manifest folder.
        train_split: whose transcripts were trained on.
        tested: the utterances that are scored.
        spell: brings texts to one spelling.

    Returns:
        `num_shared_speakers`, and `num_known_sentences`: utterances whose text is one of the training's; both None
        where the folder does not hold the training split.
    """
    if not (Path(folder) / f"{train_split}.tsv").is_file():
        return {"num_shared_speakers": None, "num_known_sentences": None}
    trained = list(read_manifest(folder, train_split))
    speakers = {u.speaker for u in trained if u.speaker} & {u.speaker for u in tested.utterances}
    known = {spell(u.transcript) for u in trained if u.transcript}
    sentences = sum(spell(text) in known for text in tested.references)
    return {"num_shared_speakers": len(speakers), "num_known_sentences": sentences}


def hours_of(entries: Sequence[AudioEntry], sample_rate_hz: int) -> float:
    """The length of recordings.

    Args:
        entries: their places.
        sample_rate_hz: rate that the manifest counts at.

    Returns:
        Hours.
    """
    return sum(entry.num_samples for entry in entries) / sample_rate_hz / 3600


@dataclass(frozen=True)
class Acoustics:
    """What the network made of a split.

    Attributes:
        rows: positions of the utterances that could be read, batch after batch.
        batches: ln p (B, T, V) float32 and valid frames (B,), on the CPU.
        network_s: seconds that the network took.
        failures: (position, reason) of the others.
    """

    rows: tuple[int, ...]
    batches: tuple[Batch, ...]
    network_s: float
    failures: tuple[tuple[int, str], ...]


@torch.no_grad()
def run_network(
    recognizer: Recognizer, entries: Sequence[AudioEntry], *, batch_size: int = 16, device: str = "cpu"
) -> Acoustics:
    """Runs a recogniser over recordings, those of similar length together.

    Args:
        recognizer: the recogniser.
        entries: N places of audio.
        batch_size: B.
        device: torch device.

    Returns:
        Log-probabilities; unreadable recordings are left out and named.

    Raises:
        ValueError: nothing could be read.
    """
    recognizer.model.to(device).eval()
    rows: list[int] = []
    batches: list[Batch] = []
    failures: list[tuple[int, str]] = []
    network_s = 0.0
    for batch in _batches(entries, batch_size):
        waveforms = dict(read_waveforms(entries, batch, recognizer.sample_rate_hz, failures))
        if not waveforms:
            continue
        start = time.perf_counter()
        log_probs, lengths = recognizer.log_probs(list(waveforms.values()))
        batches.append((log_probs.cpu(), lengths.cpu()))  # (B, T, V), (B,); waits for the device
        network_s += time.perf_counter() - start
        rows.extend(waveforms)
    if not rows:
        raise ValueError(
            f"run_network: readable audio among {len(entries)} utterances expected, found none "
            f"({failures[0][1] if failures else 'the split is empty'}); run tools/check_data.py"
        )
    return Acoustics(tuple(rows), tuple(batches), network_s, tuple(sorted(failures)))


def _batches(entries: Sequence[AudioEntry], size: int) -> Iterator[list[int]]:
    by_length = sorted(range(len(entries)), key=lambda i: entries[i].num_samples)
    with tqdm(total=len(entries), desc="network", unit="clip", leave=False, disable=None) as progress:
        for start in range(0, len(by_length), size):
            batch = by_length[start : start + size]
            yield batch
            progress.update(len(batch))
