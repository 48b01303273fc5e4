"""WER and CER of a split: equal to counts by hand, groups add up, intervals name what is resampled."""

import json
from typing import Any

import numpy as np
import pytest

from fairseq_ext.scoring.recognition import scores
from fairseq_ext.scoring.recognition.scores import NOT_STATED, score_recognition, summarise
from fairseq_ext.text.scoring import count_all, error_rate_interval

REFERENCES = [
    "L’aigua és freda.",
    "Ça, la col·lecció!",
    "Demà plourà",
    "Vint-i-dos gats",
    "la la la",
    "un dos",
]
SPEAKERS = ["a", "b", "c", "d", "e", "f"]
ACCENTS = ["central", "central", "balear", None, "", "balear"]
GENDERS = ["female", "male", "female", "male", "female", "male"]


def scored(hypotheses: list[str], **changes: Any) -> dict[str, Any]:
    """Score hypotheses against the references."""
    who = {"speakers": SPEAKERS, "accents": ACCENTS, "genders": GENDERS, "language": "ca"} | changes
    return score_recognition(REFERENCES, hypotheses, **who)


def test_perfect_hypotheses_have_no_errors() -> None:
    found = scored(list(REFERENCES))
    assert all(metric == {"value": 0.0, "low": 0.0, "high": 0.0} for metric in found["metrics"].values())
    assert found["counts"]["words"] == {
        "substitutions": 0,
        "insertions": 0,
        "deletions": 0,
        "num_reference": 15,
    }


def test_normalised_and_raw_differ_by_spelling_alone() -> None:
    found = scored(
        ["l'aigua és freda", "ça la coŀlecció", "demà plourà", "vint-i-dos gats", "la la la", "un dos"]
    )
    assert found["metrics"]["wer"]["value"] == 0.0
    # All words but "és", "la", "plourà", "gats", "la la la", "un" and "dos" are written otherwise.
    assert found["metrics"]["wer_raw"]["value"] == pytest.approx(6 / 15)
    assert 0 < found["metrics"]["cer_raw"]["value"] < 0.3


def test_counts_are_those_of_the_edits() -> None:
    found = scored(["l'aigua freda", "ça la gran col·lecció", "demà plou", "vint-i-dos gats", "", "un dos"])
    words = found["counts"]["words"]
    assert (words["substitutions"], words["insertions"], words["deletions"]) == (1, 1, 4)
    assert found["metrics"]["wer"]["value"] == pytest.approx(6 / 15)


@pytest.mark.parametrize("group", ["per_accent", "per_gender"])
def test_groups_add_up_to_the_whole(group: str) -> None:
    found = scored(["l'aigua freda", "ça la gran col·lecció", "demà plou", "vint-i-dos gats", "", "un dos"])
    groups = found[group].values()
    assert sum(g["n"] for g in groups) == len(REFERENCES)
    assert sum(g["num_speakers"] for g in groups) == 6
    assert sum(g["words"] for g in groups) == found["counts"]["words"]["num_reference"]
    assert sum(g["word_errors"] for g in groups) == 6
    weighted = sum(g["wer"]["value"] * g["words"] for g in groups) / sum(g["words"] for g in groups)
    assert weighted == pytest.approx(found["metrics"]["wer"]["value"])


def test_speakers_add_up_to_the_whole() -> None:
    found = scored(["l'aigua freda", "ça la gran col·lecció", "demà plou", "vint-i-dos gats", "", "un dos"])
    n, word_errors, words, character_errors, characters = np.sum(list(found["per_speaker"].values()), axis=0)
    assert (n, word_errors, words) == (6, 6, 15)
    assert found["metrics"]["cer"]["value"] == pytest.approx(character_errors / characters)


def test_who_stated_nothing_comes_last() -> None:
    assert list(scored(list(REFERENCES))["per_accent"]) == ["balear", "central", NOT_STATED]


def test_interval_resamples_speakers() -> None:
    """The interval equals that of resampling speakers' utterances, and is wider than that over utterances."""
    generator = np.random.default_rng(1)
    speakers = [f"s{i % 12:02d}" for i in range(240)]
    references = ["un dos tres quatre"] * 240
    bad = {f"s{k:02d}" for k in range(3)}
    hypotheses = ["un" if s in bad or generator.random() < 0.05 else "un dos tres quatre" for s in speakers]
    found = score_recognition(references, hypotheses, speakers, [None] * 240, [None] * 240, "ca", seed=3)
    counts = count_all(references, hypotheses)
    whole = error_rate_interval(counts, seed=3, groups=speakers)
    assert found["resampled"] == "speakers"
    assert found["metrics"]["wer"] == pytest.approx(
        {"value": whole.value, "low": whole.low, "high": whole.high}
    )
    single = error_rate_interval(counts, seed=3)
    assert whole.high - whole.low > 1.5 * (single.high - single.low)
    assert whole.low < whole.value < whole.high


def test_few_speakers_mean_intervals_over_utterances() -> None:
    found = scored(["x"] * 6, speakers=["a", "b"] * 3)
    assert found["resampled"] == "utterances"
    assert {g["resampled"] for g in found["per_gender"].values()} == {"utterances"}


def test_interval_covers_the_true_rate() -> None:
    """Of 40 corpora of 25 speakers whose rate is 30 % in the mean, at most 6 intervals miss it."""
    generator = np.random.default_rng(5)
    missed = 0
    for _ in range(40):
        rates = np.repeat(generator.beta(3, 7, size=25), 4)
        hypotheses = [" ".join("ab"[int(draw < rate)] for draw in generator.random(8)) for rate in rates]
        speakers = [str(i // 4) for i in range(100)]
        counts = count_all(["a a a a a a a a"] * 100, hypotheses)
        found = scores._interval(counts, speakers, 0)
        missed += not found["low"] <= 0.3 <= found["high"]
    assert missed <= 6


@pytest.mark.parametrize(
    ("hypotheses", "changes", "message"),
    [
        (["x"] * 5, {}, r"\[5, 6, 6, 6\]"),
        (["x"] * 6, {"speakers": ["a"]}, "one hypothesis, speaker"),
        (["x"] * 6, {"language": "x!"}, "x!"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    hypotheses: list[str], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        scored(hypotheses, **changes)


def test_references_without_words_are_refused() -> None:
    with pytest.raises(ValueError, match="references has a word"):
        score_recognition(["...", "?"], ["a", "b"], ["x", "y"], [None, None], [None, None], "ca")


def test_scores_are_json_without_nan() -> None:
    found = score_recognition(["...", "sí"], ["a", "sí"], ["x", "y"], ["central", None], [None, None], "ca")
    json.dumps(found, allow_nan=False)
    # Of the first accent nothing was said that has words, so it has no rate; its inserted word still counts.
    assert list(found["per_accent"]) == [NOT_STATED]
    assert found["metrics"]["wer"]["value"] == 1.0


def test_seeds_are_summarised() -> None:
    rows = []
    for seed, hypotheses in enumerate((list(REFERENCES), ["x"] * 6), 1):
        decoders = {"greedy": {"settings": {}, "real_time_factor": seed / 10, **scored(hypotheses)}}
        if seed == 1:
            decoders["lm"] = decoders["greedy"] | {"settings": {"alpha": 0.5}}
        cost = {"n": 6, "hours": 0.1, "num_speakers": 6, "labelled_minutes": 10, "num_updates": 100 * seed}
        rows.append({"seed": seed, "decoders": decoders, **cost})
    found = summarise(rows)
    greedy, with_lm = found["decoders"]["greedy"], found["decoders"]["lm"]
    assert greedy["metrics"]["wer"]["mean"] == pytest.approx(0.5)
    assert (greedy["metrics"]["wer"]["min"], greedy["metrics"]["wer"]["max"]) == (0.0, 1.0)
    assert greedy["counts"]["words"]["num_reference"] == 30
    assert greedy["real_time_factor"] == pytest.approx(0.15)
    assert (greedy["seeds"], with_lm["seeds"]) == ([1, 2], [1])
    assert with_lm["settings"] == [{"alpha": 0.5}]
    assert found["num_updates"] == [100, 200]
    assert greedy["per_accent"]["balear"]["wer"]["mean"] == pytest.approx(0.5)
