"""Word and character error rates of a split: raw and normalised, with intervals, per accent, gender and speaker.

Errors of one speaker go together, so intervals resample speakers: they say how the rate varies over speakers.
With fewer than `MIN_SPEAKERS` that says nothing; then utterances are resampled, and the result says so.

A row of this kind holds `n`, `num_speakers`, `hours`, `language`, and `decoders`: name (`greedy`, `lm`, ...) ->
what `score_recognition` returns, with `settings` and `real_time_factor`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from ...text import scoring
from ...text.normalize import normalize
from ...text.scoring import ErrorCounts, error_rate_interval, total, total_per_group
from ..seeds import mean_of, over_seeds

REQUIRED = ("decoders", "hours", "num_speakers")
# Fewer blocks have too few different resamples for the ends of a 95 % interval (5 have 126, 2 have 3).
MIN_SPEAKERS = 5
# Accent or gender of those who did not state it.
NOT_STATED = "not stated"
# What the numbers of a speaker mean, in this order; a mapping each would make results.json three times as long.
SPEAKER_COLUMNS = ("n", "word_errors", "words", "character_errors", "characters")
METRICS = ("wer", "cer", "wer_raw", "cer_raw")

Counts = list[ErrorCounts]


def score_recognition(
    references: Sequence[str],
    hypotheses: Sequence[str],
    speakers: Sequence[str],
    accents: Sequence[str | None],
    genders: Sequence[str | None],
    language: str,
    *,
    normalise: Callable[[str], str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Scores the transcripts of a split, N utterances.

    Args:
        references: N texts as they were written.
        hypotheses: N texts as they were recognised.
        speakers: N names.
        accents: N classes, None or empty where not stated.
        genders: N values, None or empty where not stated.
        language: code of `text.normalize`.
        normalise: brings both sides to one spelling; by default `normalize` of the language.
        seed: of the bootstrap.

    Returns:
        `metrics` (`wer` and `cer` of normalised texts, `wer_raw` and `cer_raw` of the texts as they are; each
        `value`, `low`, `high` as fractions), `resampled`, `counts` of edits by unit, `per_accent`, `per_gender`,
        `per_speaker` (`SPEAKER_COLUMNS`).

    Raises:
        ValueError: the numbers differ, or no reference has a word.
    """
    _check(references, hypotheses, speakers, accents, genders)
    spell = normalise or partial(normalize, language_code=language)
    pairs = {"": ([spell(r) for r in references], [spell(h) for h in hypotheses])}
    pairs["_raw"] = (list(references), list(hypotheses))
    counts: dict[str, Counts] = {}
    for suffix, sides in pairs.items():
        counts[f"wer{suffix}"] = scoring.count_all(*sides, scoring.words)
        counts[f"cer{suffix}"] = scoring.count_all(*sides, scoring.characters)
    if not total(counts["wer"]).num_reference:
        raise ValueError(
            f"score_recognition: words in the references expected, found none in {len(references)} utterances; "
            "check the transcripts and the language"
        )
    names = {"wer": "words", "cer": "characters", "wer_raw": "words_raw", "cer_raw": "characters_raw"}
    return {
        "metrics": {m: _interval(counts[m], speakers, seed) for m in METRICS},
        "resampled": resampled(speakers),
        "counts": {names[m]: asdict(total(counts[m])) for m in METRICS},
        "per_accent": _groups(counts, speakers, accents, seed),
        "per_gender": _groups(counts, speakers, genders, seed),
        "per_speaker": _speakers(counts, speakers),
    }


def _check(references: Sequence[str], *others: Sequence[Any]) -> None:
    lengths = [len(other) for other in others]
    if not references or set(lengths) != {len(references)}:
        raise ValueError(
            f"score_recognition: one hypothesis, speaker, accent and gender per reference expected "
            f"({len(references)}, 1 or more), found {lengths}; score every utterance once"
        )


def resampled(speakers: Sequence[str]) -> str:
    """What intervals resample.

    Args:
        speakers: of the utterances.

    Returns:
        `speakers`, or `utterances` where there are too few speakers.
    """
    return "speakers" if len(set(speakers)) >= MIN_SPEAKERS else "utterances"


def _interval(counts: Counts, speakers: Sequence[str], seed: int) -> dict[str, float]:
    """The rate with its interval. Drawing sums of speakers is drawing whole speakers, only quicker."""
    by_speaker = resampled(speakers) == "speakers"
    items = list(total_per_group(counts, speakers).values()) if by_speaker else counts
    found = error_rate_interval(items, seed=seed)
    return {"value": found.value, "low": found.low, "high": found.high}


def _groups(
    counts: Mapping[str, Counts], speakers: Sequence[str], groups: Sequence[str | None], seed: int
) -> dict[str, dict[str, Any]]:
    """Rates of each group that has words, those who stated nothing last."""
    names = [group or NOT_STATED for group in groups]
    result: dict[str, dict[str, Any]] = {}
    for name in sorted(set(names), key=lambda name: (name == NOT_STATED, name)):
        mine = [i for i, other in enumerate(names) if other == name]
        who = [speakers[i] for i in mine]
        of_group = {m: [counts[m][i] for i in mine] for m in ("wer", "cer")}
        words = total(of_group["wer"])
        if words.num_reference:
            rates = {m: _interval(of_group[m], who, seed) for m in of_group}
            facts = {"n": len(mine), "num_speakers": len(set(who)), "words": words.num_reference}
            result[name] = {**facts, "word_errors": words.errors, "resampled": resampled(who), **rates}
    return result


def _speakers(counts: Mapping[str, Counts], speakers: Sequence[str]) -> dict[str, list[int]]:
    words = total_per_group(counts["wer"], speakers)
    characters = total_per_group(counts["cer"], speakers)
    sizes = Counter(speakers)
    return {
        name: [
            *(sizes[name], words[name].errors, words[name].num_reference),
            *(characters[name].errors, characters[name].num_reference),
        ]
        for name in words
    }


def summarise(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Puts the seeds of one system and partition together.

    Args:
        seeds: what the metrics.json files hold.

    Returns:
        `hours`, `num_speakers`, `test` (see `test_digest`), `num_shared_speakers`, `num_known_sentences`,
        `labelled_minutes`, `num_updates` (those that occur), and `decoders`: name -> `seeds`, `metrics` and groups over
        seeds, `counts` of all seeds, `settings` that occur, `real_time_factor`.
    """
    names = list(dict.fromkeys(name for row in seeds for name in row["decoders"]))
    return {
        "hours": seeds[0]["hours"],
        "num_speakers": seeds[0]["num_speakers"],
        "test": test_digest(seeds[0]),
        "num_shared_speakers": seeds[0].get("num_shared_speakers"),
        "num_known_sentences": seeds[0].get("num_known_sentences"),
        "labelled_minutes": seeds[0].get("labelled_minutes"),
        "num_updates": sorted({row["num_updates"] for row in seeds if row.get("num_updates") is not None}),
        "decoders": {
            name: _decoder([row for row in seeds if name in row["decoders"]], name) for name in names
        },
    }


def test_digest(row: Mapping[str, Any]) -> str:
    """A fingerprint of what a row was tested on: equal for the same words of the same speakers.

    Args:
        row: what metrics.json holds.

    Returns:
        12 hexadecimal digits.
    """
    names, numbers = speaker_errors(row, next(iter(row["decoders"])))
    tested = sorted(zip(names, numbers[:, 1].tolist(), strict=True))
    return hashlib.sha256(json.dumps([row["n"], tested]).encode()).hexdigest()[:12]


def _decoder(seeds: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    found = [row["decoders"][name] for row in seeds]
    units = found[0]["counts"]
    settings = {str(one.get("settings")): one.get("settings", {}) for one in found}
    return {
        "seeds": [row["seed"] for row in seeds],
        "metrics": {m: over_seeds([one["metrics"][m] for one in found]) for m in found[0]["metrics"]},
        "resampled": found[0]["resampled"],
        "counts": {u: {k: sum(one["counts"][u][k] for one in found) for k in units[u]} for u in units},
        "per_accent": _pooled_groups([one["per_accent"] for one in found]),
        "per_gender": _pooled_groups([one["per_gender"] for one in found]),
        "settings": list(settings.values()),
        "real_time_factor": mean_of(found, "real_time_factor"),
    }


def _pooled_groups(seeds: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for name, first in seeds[0].items():
        mine = [groups[name] for groups in seeds if name in groups]
        facts = {key: first[key] for key in ("n", "num_speakers", "words", "resampled")}
        result[name] = facts | {m: over_seeds([group[m] for group in mine]) for m in ("wer", "cer")}
    return result


def figures(row: Mapping[str, Any]) -> str:
    """The main figures of a row in one line.

    Args:
        row: what metrics.json holds.

    Returns:
        Such as `greedy: WER 12.3 %, CER 3.4 %; lm: WER 9.8 %, CER 3.1 %`.
    """
    parts = []
    for name, found in row["decoders"].items():
        wer, cer = (100 * found["metrics"][m]["value"] for m in ("wer", "cer"))
        parts.append(f"{name}: WER {wer:.1f} %, CER {cer:.1f} %")
    return "; ".join(parts)


def speaker_errors(row: Mapping[str, Any], decoder: str) -> tuple[list[str], np.ndarray[Any, Any]]:
    """Word errors and words of each speaker.

    Args:
        row: what metrics.json holds.
        decoder: such as `greedy`.

    Returns:
        Names, and an array (speakers, 2).
    """
    found = row["decoders"][decoder]["per_speaker"]
    columns = [SPEAKER_COLUMNS.index(name) for name in ("word_errors", "words")]
    return list(found), np.array(
        [[numbers[c] for c in columns] for numbers in found.values()], dtype=np.int64
    )
