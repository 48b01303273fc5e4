"""Pool the folds of a recogniser: the errors in the transcripts of them all make one error rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any

from ...manifest import Utterance, read_manifest
from ...scoring.recognition.noise_conditions import KEPT, condition_name
from ...scoring.recognition.scores import score_recognition
from ...scoring.recognition.transcripts import Transcripts, file_name, read_transcripts
from ...scoring.seeds import mean_of
from ...text.spelling import Spelling
from ..result_type import Fold


def read_folds(folders: Iterable[Path], decoder: str, condition: str = "") -> Transcripts:
    """Read the transcripts of several folds, of one condition of noise, as those of one test set."""
    folds = [read_transcripts(folder / file_name(decoder, condition)) for folder in folders]
    columns = [column.name for column in fields(Transcripts)]
    return Transcripts(*(tuple(chain.from_iterable(getattr(f, name) for f in folds)) for name in columns))


def pool(folds: Sequence[Fold]) -> dict[str, Any] | None:
    """Score the transcripts of all folds together, decoder by decoder, with intervals over speakers.

    None where transcripts are missing, the languages differ, or two folds test the same utterance and are no folds.
    """
    systems = [fold.system for fold in folds]
    names = [
        name
        for name in systems[0]["decoders"]
        if all(name in s["decoders"] for s in systems)
        and all((fold.scores / file_name(name)).is_file() for fold in folds)
    ]
    if not names or len({(s["language"], str(s.get("spelling"))) for s in systems}) > 1:
        return None
    found = {name: read_folds([fold.scores for fold in folds], name) for name in names}
    if any(len(set(texts.ids)) < len(texts.ids) for texts in found.values()):
        return None
    said = _utterances(folds)
    first = found[names[0]]
    updates = {s.get("num_updates") for s in systems}
    return {
        "n": len(first.ids),
        "num_speakers": len(set(first.speakers)),
        "hours": sum(s["hours"] for s in systems),
        "num_unreadable": sum(s.get("num_unreadable", 0) for s in systems),
        "num_known_sentences": _sum(s.get("num_known_sentences") for s in systems),
        "labelled_minutes": mean_of(systems, "labelled_minutes"),
        "automatic_minutes": mean_of(systems, "automatic_minutes"),
        "num_updates": updates.pop() if len(updates) == 1 else None,
        "decoders": {name: _decoder(systems, name, texts, said) for name, texts in found.items()},
        "noise": _noise(folds, names, said),
    }


def _utterances(folds: Sequence[Fold]) -> dict[str, Utterance]:
    """Read what the manifests say about the tested utterances, by id."""
    splits = [(fold.manifests, fold.system.get("split", "test")) for fold in folds]
    there = [(folder, split) for folder, split in splits if (folder / f"{split}.tsv").is_file()]
    return {u.id: u for folder, split in there for u in read_manifest(folder, split)}


def _noise(
    folds: Sequence[Fold], names: Sequence[str], said: Mapping[str, Utterance]
) -> dict[str, Any] | None:
    """Score what all folds recognised in the same noise; None where one was not scored in noise."""
    every = [noise for fold in folds if (noise := fold.system.get("noise"))]
    if len(every) < len(folds):
        return None
    systems = [fold.system for fold in folds]
    ratios = set.intersection(*({c["snr_db"] for c in noise["conditions"]} for noise in every))
    conditions = []
    for ratio_db in sorted(ratios, reverse=True):
        condition = condition_name(ratio_db)
        there = [n for n in names if all((fold.scores / file_name(n, condition)).is_file() for fold in folds)]
        texts = {name: read_folds([fold.scores for fold in folds], name, condition) for name in there}
        scores = {name: _score(systems, name, found, said) for name, found in texts.items()}
        kept = {name: {key: score[key] for key in KEPT} for name, score in scores.items()}
        conditions.append({"snr_db": ratio_db, "decoders": kept})
    voices = [noise["voices"] for noise in every if noise["voices"] is not None]
    heard = any(noise["heard"] for noise in every)
    about = {"source": every[0]["source"], "voices": min(voices, default=None), "heard": heard}
    return {**about, "conditions": conditions}


def _decoder(
    systems: Sequence[Mapping[str, Any]], name: str, texts: Transcripts, said: Mapping[str, Utterance]
) -> dict[str, Any]:
    score = _score(systems, name, texts, said)
    of_folds = [s["decoders"][name] for s in systems]
    seconds = _sum(
        d["real_time_factor"] and d["real_time_factor"] * s["hours"]
        for d, s in zip(of_folds, systems, strict=True)
    )
    factor = None if seconds is None else seconds / sum(s["hours"] for s in systems)
    return {"settings": _settings([d["settings"] for d in of_folds]), "real_time_factor": factor, **score}


def _score(
    systems: Sequence[Mapping[str, Any]], name: str, texts: Transcripts, said: Mapping[str, Utterance]
) -> dict[str, Any]:
    """Score the transcripts of a decoder in all folds together."""
    known = [said.get(key) for key in texts.ids]
    accents, genders = ([u.accent if u else None for u in known], [u.gender if u else None for u in known])
    sides = (texts.references, texts.hypotheses)
    recorded = systems[0].get("spelling")  # not in files of earlier versions
    score = score_recognition(
        *(*sides, texts.speakers, accents, genders, systems[0]["language"]),
        spell=Spelling(**recorded) if recorded else None,
        spelled=[reference for reference, _ in texts.spelled] or None,
        with_visemes=all("ver" in s["decoders"][name]["metrics"] for s in systems),
    )
    # Without its manifest nothing is known of an utterance, which is not the same as not stated.
    if None in known:
        score |= {"per_accent": {}, "per_gender": {}}
    return score


def _settings(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the settings that all folds share, and the values of the others as text."""
    values = {key: list(dict.fromkeys(fold.get(key) for fold in folds)) for key in folds[0]}
    return {
        key: found[0] if len(found) == 1 else " | ".join(map(_text, found)) for key, found in values.items()
    }


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _sum(values: Iterable[Any]) -> Any:
    """Add up numbers; None where one is unknown."""
    known = list(values)
    return None if None in known else sum(known)
