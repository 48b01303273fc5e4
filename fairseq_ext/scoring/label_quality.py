"""The quality of automatic transcripts, scored on clips with human transcripts, as one system per language.

The result type is recognition, the partition the language. Every clip with a transcript counts: where the labeller
gave no text (no speech, another language), all words are deletions. Files: predictions.auto.tsv, config.json, and last
metrics.json.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..labelling.engine import SAMPLE_RATE_HZ
from ..labelling.table import LABELLED, ClipLabel
from ..manifest import Utterance, read_manifest
from ..text.scoring import count_all, error_rate_interval, words
from ..text.spelling import Spelling, of_texts, read_spelling
from .recognition.scores import score_recognition
from .recognition.transcripts import Transcripts, file_name, write_transcripts
from .scored_system import RECOGNITION, ScoredSystem, is_scored, read_json, write_json

DECODER = "auto"


@dataclass(frozen=True)
class Checked:
    """The clips with a human transcript, and their automatic labels; all fields have the same length N.

    Attributes:
        utterances: utterances of the manifest.
        labels: labels of the same clips.
        record: spelling of the manifest's texts; None: the manifest has none.
    """

    utterances: tuple[Utterance, ...]
    labels: tuple[ClipLabel, ...]
    record: Spelling | None = None

    @property
    def texts(self) -> list[str]:
        """N automatic texts, empty where there is no label."""
        return [label.text if label.state == LABELLED else "" for label in self.labels]

    @property
    def references(self) -> list[str]:
        """N transcripts, spelled as the manifest was written: they are never normalised again."""
        return [str(u.transcript) for u in self.utterances]

    def spelling(self, language: str) -> Spelling:
        """Return how the automatic texts are spelled: as the references."""
        if self.record is None:
            return of_texts(self.references, language)
        return replace(self.record, language=self.record.language or language)


def read_checked(manifest: Path, split: str, labels: Mapping[str, ClipLabel]) -> Checked:
    """Pair the transcripts of a split with the labels of the same clips, by their ids."""
    return pair(list(read_manifest(manifest, split)), labels, read_spelling(manifest))


def pair(
    utterances: Sequence[Utterance], labels: Mapping[str, ClipLabel], record: Spelling | None = None
) -> Checked:
    """Pair the transcripts and labels of the same clips, sorted by id; clips without either are left out."""
    both = sorted((u for u in utterances if u.id in labels and u.transcript), key=lambda u: u.id)
    return Checked(tuple(both), tuple(labels[u.id] for u in both), record)


def score_labels(
    system: ScoredSystem,
    out: Path,
    manifest: Path,
    split: str,
    labels: Mapping[str, ClipLabel],
    settings: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Score the labels of a split with human transcripts and write the system's files.

    `labels` are by id of the clip, `settings` those of labeller and filters, for config.json.

    Returns:
        The contents of metrics.json; None where no transcribed clip was labelled.
    """
    found = read_checked(manifest, split, labels)
    if not found.utterances:
        return None
    cfg = {**settings, "task": {"sample_rate_hz": SAMPLE_RATE_HZ}}
    spelling = found.spelling(system.partition)
    digest = _digest(found, spelling, cfg)
    if (before := _scored(out)) is not None and before.get("digest") == digest:
        return before
    references = found.references
    # A clip without a speaker counts as a speaker of its own.
    speakers = [u.speaker or u.id for u in found.utterances]
    nothing = [None] * len(references)
    score = score_recognition(
        references,
        found.texts,
        speakers,
        nothing,
        nothing,
        system.partition,
        spell=spelling,
        spelled=references,
    )
    ids = tuple(u.id for u in found.utterances)
    write_transcripts(
        out / file_name(DECODER), Transcripts(ids, tuple(speakers), tuple(references), tuple(found.texts))
    )
    result = {
        **system.metadata(RECOGNITION, cfg),
        "n": len(ids),
        "num_speakers": len(set(speakers)),
        "hours": sum(u.num_samples for u in found.utterances) / SAMPLE_RATE_HZ / 3600,
        "language": system.partition,
        "spelling": asdict(spelling),
        "split": split,
        "digest": digest,
        "num_unreadable": 0,
        "train_s": None,
        "decoders": {DECODER: {"settings": {}, "real_time_factor": None, **score}},
    }
    write_json(out / "config.json", cfg)
    write_json(out / "metrics.json", result)
    return result


def _scored(out: Path) -> dict[str, Any] | None:
    """Return the contents of an earlier metrics.json."""
    return read_json(out / "metrics.json") if is_scored(out) else None


def _digest(found: Checked, spelling: Spelling, cfg: Mapping[str, Any]) -> str:
    """Hash all that the scores depend on: a rerun with the same labels is skipped, one with others is not."""
    pairs = [
        (u.id, u.speaker, u.transcript, text) for u, text in zip(found.utterances, found.texts, strict=True)
    ]
    return hashlib.sha256(json.dumps([pairs, asdict(spelling), cfg]).encode()).hexdigest()[:12]


def word_error_rate(found: Checked, language: str, ids: Container[str]) -> dict[str, float] | None:
    """Compute the word error rate of the labels of some clips, with an interval over clips.

    Returns:
        `n`, `value`, `low`, `high`; None where no clip counts or no reference has a word.
    """
    spell = found.spelling(language)
    pairs = [
        (reference, spell(text))
        for reference, label, text in zip(found.references, found.labels, found.texts, strict=True)
        if label.id in ids
    ]
    if not any(reference for reference, _ in pairs):
        return None
    references, hypotheses = zip(*pairs, strict=True)
    rate = error_rate_interval(count_all(references, hypotheses, words), seed=0)
    return {"n": len(pairs), "value": rate.value, "low": rate.low, "high": rate.high}
