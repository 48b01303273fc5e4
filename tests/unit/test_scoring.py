"""Scoring: counts equal a reference implementation, alignments replay, intervals are reproducible and
sane."""

import math

import editdistance
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.text.scoring import (
    ErrorCounts,
    Interval,
    align,
    bootstrap_interval,
    characters,
    count_all,
    count_errors,
    error_rate_interval,
    total,
    total_per_group,
    words,
)

tokens = st.lists(st.sampled_from(["la", "plaça", "coŀlegi", "allà", "la "]), max_size=9)


@settings(deadline=None)
@given(reference=tokens, hypothesis=tokens)
def test_errors_equal_the_edit_distance(reference: list[str], hypothesis: list[str]) -> None:
    counts = count_errors(reference, hypothesis)
    assert counts.errors == editdistance.eval(reference, hypothesis)
    assert counts.num_reference == len(reference)
    assert counts.insertions - counts.deletions == len(hypothesis) - len(reference)


@settings(deadline=None)
@given(reference=tokens, hypothesis=tokens)
def test_alignment_replays_both_sides(reference: list[str], hypothesis: list[str]) -> None:
    pairs = align(reference, hypothesis)
    assert [r for r, _ in pairs if r is not None] == reference
    assert [h for _, h in pairs if h is not None] == hypothesis
    assert (None, None) not in pairs


@settings(deadline=None)
@given(reference=tokens)
def test_equal_texts_have_no_errors(reference: list[str]) -> None:
    assert count_errors(reference, reference) == ErrorCounts(num_reference=len(reference))


def test_known_alignment_and_counts() -> None:
    reference, hypothesis = words("la plaça del poble vell aquí"), words("la plasa del vell aquí avui")
    assert align(reference, hypothesis) == [
        ("la", "la"),
        ("plaça", "plasa"),
        ("del", "del"),
        ("poble", None),
        ("vell", "vell"),
        ("aquí", "aquí"),
        (None, "avui"),
    ]
    assert count_errors(reference, hypothesis) == ErrorCounts(1, 1, 1, 6)
    assert count_errors(reference, hypothesis).rate == 0.5


def test_characters_count_accents_and_single_spaces() -> None:
    assert characters("  és  allà\n") == list("és allà")
    assert count_all(["és allà"], ["es alla"], characters) == [ErrorCounts(2, 0, 0, 7)]
    assert characters("coŀlegi") == ["c", "o", "ŀ", "l", "e", "g", "i"]


def test_rate_without_reference_is_nan_and_insertions_still_count() -> None:
    counts = count_errors([], ["soroll"])
    assert counts == ErrorCounts(insertions=1)
    assert math.isnan(counts.rate)
    assert total([counts, ErrorCounts(num_reference=2)]).rate == 0.5


def test_totals_per_group_add_up() -> None:
    counts = count_all(["a b", "a b c", "a"], ["a", "a b c", "b"])
    per_speaker = total_per_group(counts, ["pau", "anna", "pau"])
    assert per_speaker == {"anna": ErrorCounts(num_reference=3), "pau": ErrorCounts(1, 0, 1, 3)}
    assert list(per_speaker) == ["anna", "pau"]
    assert total(per_speaker.values()) == total(counts)


def test_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        count_all(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="shorter"):
        total_per_group([ErrorCounts()], [])


def accuracy_interval(correct: np.ndarray, **options: object) -> Interval:
    return bootstrap_interval(lambda i: float(correct[i].mean()), len(correct), **options)  # type: ignore[arg-type]


def test_interval_is_the_same_for_the_same_seed_only() -> None:
    correct = np.random.default_rng(0).random(200) < 0.8
    assert accuracy_interval(correct, seed=3) == accuracy_interval(correct, seed=3)
    assert accuracy_interval(correct, seed=3) != accuracy_interval(correct, seed=4)


def test_interval_has_the_width_that_theory_gives() -> None:
    correct = np.arange(1000) % 5 > 0
    interval = accuracy_interval(correct, seed=1, num_resamples=4000)
    half_width = 1.96 * math.sqrt(0.8 * 0.2 / 1000)
    assert interval.value == 0.8
    assert interval.low == pytest.approx(0.8 - half_width, abs=0.003)
    assert interval.high == pytest.approx(0.8 + half_width, abs=0.003)


def test_groups_are_drawn_whole() -> None:
    groups = ["a"] * 10 + ["b"] * 30
    seen: set[tuple[int, int]] = set()

    def statistic(indices: np.ndarray) -> float:
        seen.add((int((indices < 10).sum()), int((indices >= 10).sum())))
        return 0.0

    bootstrap_interval(statistic, 40, seed=1, num_resamples=50, groups=groups)
    assert seen == {(20, 0), (10, 30), (0, 60)}


def test_grouping_widens_the_interval_when_speakers_differ() -> None:
    speakers = np.repeat(np.arange(10), 50)
    correct = speakers % 2 == 0
    plain = accuracy_interval(correct, seed=1)
    grouped = accuracy_interval(correct, seed=1, groups=speakers.tolist())
    assert grouped.high - grouped.low > 3 * (plain.high - plain.low)


def test_resamples_without_a_figure_are_left_out() -> None:
    nan = bootstrap_interval(lambda i: float("nan"), 3, seed=1, num_resamples=5)
    assert all(math.isnan(x) for x in (nan.value, nan.low, nan.high))
    some = bootstrap_interval(lambda i: 1.0 if 0 in i else float("nan"), 3, seed=1)
    assert some == Interval(1.0, 1.0, 1.0)


def test_error_rate_interval_covers_the_rate() -> None:
    counts = [ErrorCounts(substitutions=i % 3, num_reference=10) for i in range(99)]
    interval = error_rate_interval(counts, seed=1)
    assert interval.value == total(counts).rate == 0.1
    assert 0.08 < interval.low < 0.1 < interval.high < 0.12


@pytest.mark.parametrize(
    ("num_items", "groups", "message"), [(0, None, "1 item"), (3, ["a"], "3 groups expected")]
)
def test_bad_bootstrap_input(num_items: int, groups: list[str] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(lambda i: 0.0, num_items, seed=1, groups=groups)
