"""Word and character error rates of a split: raw and spelled alike, with intervals, per accent, gender and speaker.

Errors of one speaker are correlated, so the bootstrap resamples speakers, and the intervals show how the rate varies
over speakers. With fewer than `MIN_SPEAKERS` it resamples utterances, see `resampled` in the result.

metrics.json holds `n`, `num_speakers`, `hours`, `language`, and `decoders`: name (`greedy`, `lm`, ...) -> the result of
`score_recognition`, with `settings` and `real_time_factor`. Where it was scored in noise too, `noise` holds what
`noise.score_in_noise` returns.
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
from ...text.scoring import ErrorCounts, error_rate_interval, total, total_per_group
from ...text.spelling import Spelling
from ..seeds import mean_of, over_seeds
from .visemes import visemes

REQUIRED = ("decoders", "hours", "num_speakers")
# With fewer there are too few different resamples for the ends of a 95 % interval (126 of 5 speakers, 3 of 2).
MIN_SPEAKERS = 5
# Group of the speakers who did not state their accent or gender.
NOT_STATED = "not stated"
# Columns of `per_speaker`; a mapping per speaker would make results.json three times as long.
SPEAKER_COLUMNS = ("n", "word_errors", "words", "character_errors", "characters")
METRICS = ("wer", "cer", "wer_raw", "cer_raw")
# Metrics of a line for the terminal; visemes are counted for lip readers.
SHOWN = ("wer", "cer", "ver")

Counts = list[ErrorCounts]


def score_recognition(
    references: Sequence[str],
    hypotheses: Sequence[str],
    speakers: Sequence[str],
    accents: Sequence[str | None],
    genders: Sequence[str | None],
    language: str,
    *,
    spell: Callable[[str], str] | None = None,
    spelled: Sequence[str] | None = None,
    with_visemes: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Score the transcripts of a split, N utterances.

    Args:
        references: N reference texts as written.
        accents: N classes, None or empty where not stated.
        genders: N values, None or empty where not stated.
        language: code of `text.normalize`.
        spell: spells hypotheses as the references are; None = the rules of the language.
        spelled: N spelled references of the manifest; None = `spell` makes them of the references.
        with_visemes: also count errors in visemes, `ver`, of a language that `visemes` has rules for.

    Returns:
        `metrics` (`wer` and `cer` of spelled texts, `wer_raw` and `cer_raw` of the given texts; each `value`, `low`,
        `high` as fractions), `resampled`, `counts` of edits by unit, `per_accent`, `per_gender`, `per_speaker`
        (`SPEAKER_COLUMNS`).

    Raises:
        ValueError: the arguments differ in length, or no reference has a word.
    """
    spell = spell or Spelling(language)
    spelled = [*map(spell, references)] if spelled is None else spelled
    _check(references, hypotheses, speakers, accents, genders)
    pairs = {"": (spelled, [*map(spell, hypotheses)]), "_raw": (references, hypotheses)}
    counts: dict[str, Counts] = {}
    for suffix, sides in pairs.items():
        counts[f"wer{suffix}"] = scoring.count_all(*sides, scoring.words)
        counts[f"cer{suffix}"] = scoring.count_all(*sides, scoring.characters)
    if not total(counts["wer"]).num_reference:
        raise ValueError(
            f"score_recognition: none of {len(references)} references has a word; "
            "check the transcripts and the language"
        )
    names = {"wer": "words", "cer": "characters", "wer_raw": "words_raw", "cer_raw": "characters_raw"}
    if with_visemes:
        names["ver"] = "visemes"
        counts["ver"] = scoring.count_all(*pairs[""], partial(visemes, language=language))
    return {
        "metrics": {m: _interval(counts[m], speakers, seed) for m in names},
        "resampled": resampled(speakers),
        "counts": {name: asdict(total(counts[m])) for m, name in names.items()},
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
    """Return what the bootstrap resamples: `speakers`, or `utterances` where there are too few speakers."""
    return "speakers" if len(set(speakers)) >= MIN_SPEAKERS else "utterances"


def _interval(counts: Counts, speakers: Sequence[str], seed: int) -> dict[str, float]:
    """Return the rate with its interval; resampling sums per speaker equals resampling speakers, and is faster."""
    by_speaker = resampled(speakers) == "speakers"
    items = list(total_per_group(counts, speakers).values()) if by_speaker else counts
    found = error_rate_interval(items, seed=seed)
    return {"value": found.value, "low": found.low, "high": found.high}


def _groups(
    counts: Mapping[str, Counts], speakers: Sequence[str], groups: Sequence[str | None], seed: int
) -> dict[str, dict[str, Any]]:
    """Return the rates of each group with words, `NOT_STATED` last."""
    names = [group or NOT_STATED for group in groups]
    result: dict[str, dict[str, Any]] = {}
    for name in sorted(set(names), key=lambda name: (name == NOT_STATED, name)):
        mine = [i for i, other in enumerate(names) if other == name]
        who = [speakers[i] for i in mine]
        of_group = {m: [counts[m][i] for i in mine] for m in ("wer", "cer")}
        words = total(of_group["wer"])
        if words.num_reference:
            rates = {m: _interval(of_group[m], who, seed) for m in of_group}
            sizes = {"n": len(mine), "num_speakers": len(set(who)), "words": words.num_reference}
            result[name] = {**sizes, "word_errors": words.errors, "resampled": resampled(who), **rates}
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
    """Summarise the metrics.json of the seeds of one system and partition.

    Returns:
        `hours`, `num_speakers`, `test` (see `_test_digest`), `num_shared_speakers`, `num_known_sentences`,
        `labelled_minutes` by people, `automatic_minutes` beside them, `num_updates` (sorted, without repetitions),
        `decoders`: name -> `seeds`, `metrics` and groups over seeds, `counts` of all seeds, the different `settings`,
        `real_time_factor`; and `noise`, None where no seed was scored in noise: `source`, `voices`, `heard`,
        `conditions`: `snr_db`, and `decoders`: name -> `seeds`, `metrics`, `counts`, `resampled`.
    """
    names = list(dict.fromkeys(name for row in seeds for name in row["decoders"]))
    return {
        "hours": seeds[0]["hours"],
        "num_speakers": seeds[0]["num_speakers"],
        "test": _test_digest(seeds[0]),
        "num_shared_speakers": seeds[0].get("num_shared_speakers"),
        "num_known_sentences": seeds[0].get("num_known_sentences"),
        "labelled_minutes": seeds[0].get("labelled_minutes"),
        "automatic_minutes": seeds[0].get("automatic_minutes"),
        "num_updates": sorted({row["num_updates"] for row in seeds if row.get("num_updates") is not None}),
        "decoders": {
            name: _decoder([row for row in seeds if name in row["decoders"]], name) for name in names
        },
        "noise": _noise(seeds),
    }


def _noise(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Summarise the scores in noise of the seeds that have them, None where none has."""
    scored = [row for row in seeds if row.get("noise")]
    if not scored:
        return None
    ratios = {c["snr_db"] for row in scored for c in row["noise"]["conditions"]}
    about = {key: scored[0]["noise"][key] for key in ("source", "voices", "heard")}
    return {**about, "conditions": [_condition(scored, ratio) for ratio in sorted(ratios, reverse=True)]}


def _condition(seeds: Sequence[Mapping[str, Any]], snr_db: float) -> dict[str, Any]:
    found = [
        (row["seed"], c["decoders"])
        for row in seeds
        for c in row["noise"]["conditions"]
        if c["snr_db"] == snr_db
    ]
    summaries = {}
    for name in dict.fromkeys(name for _, decoders in found for name in decoders):
        mine = [(seed, decoders[name]) for seed, decoders in found if name in decoders]
        summaries[name] = {"seeds": [seed for seed, _ in mine], **_rates([scores for _, scores in mine])}
    return {"snr_db": snr_db, "decoders": summaries}


def _rates(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise the rates of one decoder over seeds, and add up its edits."""
    units = found[0]["counts"]
    return {
        "metrics": {m: over_seeds([one["metrics"][m] for one in found]) for m in found[0]["metrics"]},
        "resampled": found[0]["resampled"],
        "counts": {u: {k: sum(one["counts"][u][k] for one in found) for k in units[u]} for u in units},
    }


def _test_digest(result: Mapping[str, Any]) -> str:
    """Return 12 hexadecimal digits that are equal for the same numbers of words of the same speakers."""
    names, numbers = speaker_errors(result, next(iter(result["decoders"])))
    tested = sorted(zip(names, numbers[:, 1].tolist(), strict=True))
    return hashlib.sha256(json.dumps([result["n"], tested]).encode()).hexdigest()[:12]


def _decoder(seeds: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    found = [row["decoders"][name] for row in seeds]
    settings = {str(one.get("settings")): one.get("settings", {}) for one in found}
    return {
        "seeds": [row["seed"] for row in seeds],
        **_rates(found),
        "per_accent": _pooled_groups([one["per_accent"] for one in found]),
        "per_gender": _pooled_groups([one["per_gender"] for one in found]),
        "settings": list(settings.values()),
        "real_time_factor": mean_of(found, "real_time_factor"),
    }


def _pooled_groups(seeds: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for name, first in seeds[0].items():
        mine = [groups[name] for groups in seeds if name in groups]
        sizes = {key: first[key] for key in ("n", "num_speakers", "words", "resampled")}
        result[name] = sizes | {m: over_seeds([group[m] for group in mine]) for m in ("wer", "cer")}
    return result


def figures(result: Mapping[str, Any]) -> str:
    """Return the main figures of a metrics.json, such as `greedy: WER 12.3 %, CER 3.4 %; lm: WER 9.8 %, CER 3.1 %`."""
    parts = []
    for name, found in result["decoders"].items():
        rates = {m: found["metrics"][m]["value"] for m in SHOWN if m in found["metrics"]}
        of_decoder = ", ".join(f"{m.upper()} {100 * rate:.1f} %" for m, rate in rates.items())
        parts.append(f"{name}: {of_decoder}{_noise_figures(result.get('noise'), name)}")
    return "; ".join(parts)


def _noise_figures(noise: Mapping[str, Any] | None, decoder: str) -> str:
    """Return what follows of the scores in noise, such as `, in babble of 10 dB WER 20.1 %, of 0 dB WER 40.2 %`."""
    if noise is None:
        return ""
    if not noise["heard"]:
        return f", {noise['source']} not heard"
    rates = {c["snr_db"]: c["decoders"][decoder]["metrics"]["wer"]["value"] for c in noise["conditions"]}
    shown = ", of ".join(f"{ratio_db:g} dB WER {100 * rate:.1f} %" for ratio_db, rate in rates.items())
    return f", in {noise['source']} of {shown}"


def speaker_errors(result: Mapping[str, Any], decoder: str) -> tuple[list[str], np.ndarray[Any, Any]]:
    """Return the names of the speakers, and word errors and words of each, (speakers, 2)."""
    found = result["decoders"][decoder]["per_speaker"]
    columns = [SPEAKER_COLUMNS.index(name) for name in ("word_errors", "words")]
    return list(found), np.array(
        [[numbers[c] for c in columns] for numbers in found.values()], dtype=np.int64
    )
