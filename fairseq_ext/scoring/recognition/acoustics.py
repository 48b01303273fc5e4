"""A split of transcribed speech, and the log-probabilities of a recogniser over it.

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
    """The transcribed utterances of one split of a manifest folder; both fields have the same length N."""

    entries: tuple[AudioEntry, ...]
    utterances: tuple[Utterance, ...]

    @property
    def references(self) -> list[str]:
        """Transcripts without normalisation."""
        return [u.transcript or "" for u in self.utterances]

    def subset(self, rows: Sequence[int]) -> SpeechSplit:
        """Select some utterances.

        Args:
            rows: positions of the utterances.

        Returns:
            The smaller split.
        """
        return SpeechSplit(tuple(self.entries[i] for i in rows), tuple(self.utterances[i] for i in rows))


def read_speech(folder: Path, split: str) -> SpeechSplit:
    """Read a split with its transcripts.

    Args:
        folder: manifest folder.
        split: name of the split, such as `test`.

    Returns:
        The split.

    Raises:
        ValueError: the files have different numbers of rows, or an utterance lacks speaker or transcript.
    """
    where = f"{folder}/{split}"
    index = AudioIndex(Path(folder) / f"{split}.tsv")
    utterances = tuple(read_manifest(folder, split))
    for what in ("speaker", "transcript"):
        without = [u.id for u in utterances if not getattr(u, what)]
        if without:
            raise ValueError(
                f"{where}: {len(without)} utterances have no {what}, such as {without[:3]}; fill the columns speaker "
                "and transcript of the sidecar, which word error rates need"
            )
    return SpeechSplit(tuple(index.entry(i) for i in range(len(index))), utterances)


def language_of(split: SpeechSplit, where: str) -> str:
    """Return the language of a split.

    Args:
        split: utterances of the split.
        where: name of the split, for the error message.

    Returns:
        Code of the language.

    Raises:
        ValueError: the sidecar names no language, or several.
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
    """Count the speakers and sentences of the training split in the tested one: 0 where only unseen ones are scored.

    Args:
        folder: manifest folder.
        train_split: name of the training split.
        tested: utterances that are scored.
        spell: normalises a text before comparison.

    Returns:
        `num_shared_speakers`, and `num_known_sentences`: utterances whose text occurs in training; both None where the
        folder lacks the training split.
    """
    if not (Path(folder) / f"{train_split}.tsv").is_file():
        return {"num_shared_speakers": None, "num_known_sentences": None}
    trained = list(read_manifest(folder, train_split))
    speakers = {u.speaker for u in trained if u.speaker} & {u.speaker for u in tested.utterances}
    known = {spell(u.transcript) for u in trained if u.transcript}
    sentences = sum(spell(text) in known for text in tested.references)
    return {"num_shared_speakers": len(speakers), "num_known_sentences": sentences}


def hours_of(entries: Sequence[AudioEntry], sample_rate_hz: int) -> float:
    """Return the total duration of recordings.

    Args:
        entries: audio locations.
        sample_rate_hz: sample rate of the manifest, Hz.

    Returns:
        Duration, hours.
    """
    return sum(entry.num_samples for entry in entries) / sample_rate_hz / 3600


@dataclass(frozen=True)
class Acoustics:
    """The output of a recogniser over a split.

    Attributes:
        rows: positions of the readable utterances, batch after batch.
        batches: ln p (B, T, V) float32 and valid frames (B,), on the CPU.
        network_s: time that the network took, s.
        failures: (position, reason) of the unreadable utterances.
    """

    rows: tuple[int, ...]
    batches: tuple[Batch, ...]
    network_s: float
    failures: tuple[tuple[int, str], ...]


@torch.no_grad()
def run_network(
    recognizer: Recognizer, entries: Sequence[AudioEntry], *, batch_size: int = 16, device: str = "cpu"
) -> Acoustics:
    """Run a recogniser over recordings, with those of similar length in a batch.

    Args:
        recognizer: the recogniser.
        entries: N audio locations.
        batch_size: recordings in a batch, B.
        device: torch device.

    Returns:
        Log-probabilities; unreadable recordings are listed as failures.

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
            f"run_network: none of {len(entries)} utterances can be read "
            f"({failures[0][1] if failures else 'the split is empty'}); run fairseq-ext check"
        )
    return Acoustics(tuple(rows), tuple(batches), network_s, tuple(sorted(failures)))


def _batches(entries: Sequence[AudioEntry], size: int) -> Iterator[list[int]]:
    by_length = sorted(range(len(entries)), key=lambda i: entries[i].num_samples)
    with tqdm(total=len(entries), desc="network", unit="clip", leave=False, disable=None) as progress:
        for start in range(0, len(by_length), size):
            batch = by_length[start : start + size]
            yield batch
            progress.update(len(batch))
