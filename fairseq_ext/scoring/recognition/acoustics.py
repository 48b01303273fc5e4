"""A split of transcribed speech, and the log-probabilities of a recogniser over it.

Legend: N utterances, B of them in a batch, S samples and T frames of the longest, V symbols.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ...line_index import AudioEntry, AudioIndex
from ...manifest import Utterance, read_labels, read_manifest
from ...text.spelling import NAME, Spelling, of_texts, read_spelling
from ..embeddings import read_waveforms
from ..trained import ClipRecognizer, Recognizer
from .noise import InNoise

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class SpeechSplit:
    """The N transcribed utterances of one split of a manifest folder.

    Attributes:
        entries: audio locations.
        utterances: rows of the manifest.
        spelled: texts of `{split}.wrd`, as training reads them; None = the folder has no such file.
    """

    entries: tuple[AudioEntry, ...]
    utterances: tuple[Utterance, ...]
    spelled: tuple[str, ...] | None = None

    @property
    def references(self) -> list[str]:
        """Transcripts as written."""
        return [u.transcript or "" for u in self.utterances]

    def texts(self, spell: Callable[[str], str]) -> list[str]:
        """Return the spelled texts of the manifest, and only where it has none transcripts that are spelled now."""
        return list(map(spell, self.references)) if self.spelled is None else list(self.spelled)

    def subset(self, rows: Sequence[int]) -> SpeechSplit:
        """Return the utterances at some positions."""
        spelled = None if self.spelled is None else tuple(self.spelled[i] for i in rows)
        return SpeechSplit(
            tuple(self.entries[i] for i in rows), tuple(self.utterances[i] for i in rows), spelled
        )


def read_speech(folder: Path, split: str) -> SpeechSplit:
    """Read a split with its transcripts.

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
    spelled = _spelled_texts(folder, split)
    if spelled is not None and len(spelled) != len(utterances):
        raise ValueError(
            f"{where}.wrd: {len(utterances)} rows expected, as in {split}.tsv, found {len(spelled)}; write both again"
        )
    return SpeechSplit(tuple(index.entry(i) for i in range(len(index))), utterances, spelled)


def _spelled_texts(folder: Path, split: str) -> tuple[str, ...] | None:
    """Return the lines of `{split}.wrd`; None = the folder has no such file."""
    is_there = (Path(folder) / f"{split}.wrd").is_file()
    return tuple(read_labels(folder, split, "wrd")) if is_there else None


def spelling_of(folder: Path, speech: SpeechSplit, where: str, language: str = "") -> tuple[Spelling, str]:
    """Return how a manifest is spelled, and where that is known from: its record, or the texts themselves.

    Args:
        where: name of the split, for the error message.
        language: chosen language; empty = that of the record or the sidecar.

    Raises:
        ValueError: the language differs from the record, or is not known.
    """
    record = read_spelling(folder)
    if record is not None:
        record.check(folder, language=language)
        return replace(record, language=record.language or language or language_of(speech, where)), NAME
    language = language or language_of(speech, where)
    if speech.spelled is None:
        return Spelling(
            language
        ), f"no {NAME} and no .wrd: transcripts are spelled by the rules of {language}"
    found = of_texts(speech.spelled, language)
    return found, f"no {NAME}: the texts of the .wrd look like {found.describe()}"


def language_of(split: SpeechSplit, where: str) -> str:
    """Return the code of the language that all utterances of a split have.

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
        spell: spells a transcript, where the folder has no spelled texts.

    Returns:
        `num_shared_speakers`, and `num_known_sentences`: utterances whose text occurs in training; both None where the
        folder lacks the training split.
    """
    if not (Path(folder) / f"{train_split}.tsv").is_file():
        return {"num_shared_speakers": None, "num_known_sentences": None}
    trained = list(read_manifest(folder, train_split))
    speakers = {u.speaker for u in trained if u.speaker} & {u.speaker for u in tested.utterances}
    texts = _spelled_texts(folder, train_split)
    known = {spell(u.transcript) for u in trained if u.transcript} if texts is None else {*texts} - {""}
    return {
        "num_shared_speakers": len(speakers),
        "num_known_sentences": sum(text in known for text in tested.texts(spell)),
    }


def hours_of(entries: Sequence[AudioEntry], sample_rate_hz: int) -> float:
    """Return the total duration of recordings, hours; `sample_rate_hz` is that of the manifest."""
    return sum(entry.num_samples for entry in entries) / sample_rate_hz / 3600


@dataclass(frozen=True)
class Acoustics:
    """The output of a recogniser over a split.

    Attributes:
        rows: positions of the readable utterances, batch after batch.
        batches: ln p (B, T, V) float32 and valid frames (B,), on the CPU.
        network_s: time that the network took, s.
        failures: (position, reason) of the unreadable utterances.
        memories: what an attention decoder reads of each batch, (B, T, E); empty = there is none.
    """

    rows: tuple[int, ...]
    batches: tuple[Batch, ...]
    network_s: float
    failures: tuple[tuple[int, str], ...]
    memories: tuple[Tensor, ...] = ()


@torch.no_grad()
def run_network(
    recognizer: Recognizer,
    entries: Sequence[AudioEntry],
    *,
    batch_size: int = 16,
    device: str = "cpu",
    with_memory: bool = False,
    in_noise: InNoise | None = None,
) -> Acoustics:
    """Run a recogniser over recordings, with those of similar length in a batch.

    Args:
        batch_size: recordings in a batch, B.
        with_memory: keep what an attention decoder reads, of a `ClipRecognizer`.
        in_noise: mixes the sound of a row with noise; None = as it is.

    Returns:
        Log-probabilities; unreadable recordings are listed as failures.

    Raises:
        ValueError: nothing could be read.
    """
    recognizer.model.to(device).eval()
    rows: list[int] = []
    batches: list[Batch] = []
    failures: list[tuple[int, str]] = []
    memories: list[Tensor] = []
    network_s = 0.0
    for batch in _batches(entries, batch_size):
        clips = dict(_read(recognizer, entries, batch, failures, in_noise))
        if not clips:
            continue
        start = time.perf_counter()
        if with_memory and isinstance(recognizer, ClipRecognizer):
            log_probs, lengths, memory = recognizer.encode(list(clips.values()))
            memories.append(memory.cpu())
        else:
            log_probs, lengths = recognizer.log_probs(list(clips.values()))
        batches.append((log_probs.cpu(), lengths.cpu()))  # (B, T, V), (B,); waits for the device
        network_s += time.perf_counter() - start
        rows.extend(clips)
    if not rows:
        raise ValueError(
            f"run_network: none of {len(entries)} utterances can be read "
            f"({failures[0][1] if failures else 'the split is empty'}); run fairseq-ext check"
        )
    return Acoustics(tuple(rows), tuple(batches), network_s, tuple(sorted(failures)), tuple(memories))


def _read(
    recognizer: Recognizer,
    entries: Sequence[AudioEntry],
    batch: Sequence[int],
    failures: list[tuple[int, str]],
    in_noise: InNoise | None,
) -> Iterator[tuple[int, Any]]:
    """Yield position and input of the readable rows; (position, reason) of others are appended to `failures`."""
    if not isinstance(recognizer, ClipRecognizer):
        for i, waveform in read_waveforms(entries, batch, recognizer.sample_rate_hz, failures):
            yield i, waveform if in_noise is None else in_noise(waveform, i)
        return
    for i in batch:
        try:
            clip = recognizer.read_row(entries[i], None if in_noise is None else partial(in_noise, row=i))
        except ValueError as error:
            failures.append((i, str(error)))
        else:
            yield i, clip


def _batches(entries: Sequence[AudioEntry], size: int) -> Iterator[list[int]]:
    by_length = sorted(range(len(entries)), key=lambda i: entries[i].num_samples)
    with tqdm(total=len(entries), desc="network", unit="clip", leave=False, disable=None) as progress:
        for start in range(0, len(by_length), size):
            batch = by_length[start : start + size]
            yield batch
            progress.update(len(batch))
