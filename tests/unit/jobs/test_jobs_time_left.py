"""The time left of a run is right within a factor of two, however uneven its items are and in whatever order."""

import random
from collections.abc import Callable

import pytest

from fairseq_ext.jobs.items import Item
from fairseq_ext.jobs.time_left import TimeLeft, sizes

DRAW = random.Random(5)
UNEVEN = [DRAW.lognormvariate(0.0, 1.0) for _ in range(400)]
WIDE = [100 ** (i / 399) for i in range(400)]
MEAN = sum(WIDE) / len(WIDE)
ORDERS: dict[str, Callable[[list[float]], list[float]]] = {
    "ascending": sorted,
    "descending": lambda costs: sorted(costs, reverse=True),
    "drawn": lambda costs: DRAW.sample(costs, len(costs)),
}


def worst(work: list[float], costs: list[float]) -> float:
    """Return by which factor the time left is off at worst, from a twentieth to 0.95 of the run."""
    total_s, now_s, done, found = sum(costs), 0.0, 0.0, 1.0
    left = TimeLeft(len(costs), sum(work))
    left.add(0.0, 0, 0.0)
    for number, (size, cost) in enumerate(zip(work, costs, strict=True), 1):
        now_s, done = now_s + cost, done + size
        left.add(now_s, number, done)
        if 0.05 <= now_s / total_s <= 0.95:
            seconds = left.seconds()
            assert seconds
            ratio = seconds / (total_s - now_s)
            found = max(found, ratio, 1 / ratio)
    return found


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("all_sizes", [UNEVEN, WIDE], ids=["lognormal", "1 to 100"])
def test_sizes_are_known(all_sizes: list[float], order: str) -> None:
    work = ORDERS[order](all_sizes)
    mean = sum(work) / len(work)
    assert worst(work, work) < 2
    assert worst(work, [size + 0.1 * mean for size in work]) < 2
    assert worst(work, [size + 0.3 * mean for size in work]) < 2
    assert worst(work, [size * DRAW.uniform(0.3, 3) for size in work]) < 2
    # the machine gets slower by half
    assert worst(work, [size * (1 if i < 150 else 1.5) for i, size in enumerate(work)]) < 2


def test_sizes_are_not_known() -> None:
    none = [0.0] * 400
    assert worst(none, ORDERS["drawn"](UNEVEN)) < 2
    # another kind of items follows
    assert worst([0.0] * 400, [1.0] * 200 + [1.5] * 200) < 2


def test_a_run_that_continues_counts_from_where_it_began() -> None:
    left = TimeLeft(10, 0.0)
    left.add(100.0, 6, 0.0)
    assert left.seconds() is None
    left.add(103.0, 7, 0.0)
    left.add(106.0, 8, 0.0)
    assert left.seconds() == pytest.approx(6.0)
    left.add(112.0, 8, 0.0)  # nothing has ended for a while
    assert left.seconds() == pytest.approx(12.0)


def test_sizes_are_those_that_the_data_states() -> None:
    data = (
        {"num_samples": 5, "num_bytes": 9},
        {"num_bytes": 7},
        {"num_bytes": [3, None, 4]},
        {},
        {"num_bytes": None},
    )
    assert sizes([Item("a", found) for found in data]) == [5, 7, 7, 0, 0]
