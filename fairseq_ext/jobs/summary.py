"""Results of a run: the outcomes in order, their counts, and the list of problems."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..files import atomic_write
from .finished_chunks import finished_chunks, finished_path, read_chunk
from .items import STATES, Outcome
from .plan import Plan, open_plan


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of the outcomes of a run.

    Attributes:
        num_items: number of items of the whole run, not of a shard.
        states: number of items by state; has all four states.
        reasons: number of items by state other than done and by reason, the most frequent first.
        num_missing: number of items in unfinished chunks.
    """

    num_items: int
    states: Mapping[str, int]
    reasons: Mapping[str, Mapping[str, int]]
    num_missing: int

    @property
    def complete(self) -> bool:
        """Whether every item has its outcome."""
        return self.num_missing == 0

    def __str__(self) -> str:
        parts = [self._part(state) for state in STATES if self.states[state]]
        if self.num_missing:
            parts.append(f"{self.num_missing} missing")
        return f"{self.num_items} items: {', '.join(parts) or 'nothing to do'}"

    def _part(self, state: str) -> str:
        reasons = ", ".join(f"{reason} {n}" for reason, n in self.reasons.get(state, {}).items())
        return f"{self.states[state]} {state}" + (f" ({reasons})" if reasons else "")


def outcomes(folder: str | os.PathLike[str]) -> Iterator[Outcome]:
    """Read the outcomes of a finished run, one per item in the order of the items.

    Raises:
        ValueError: when an item has no outcome, or a file is damaged.
    """
    plan = open_plan(folder)
    missing = sorted(set(range(plan.num_chunks)) - finished_chunks(plan))
    if missing:
        num_items = sum(map(plan.length, missing))
        first = plan.items(missing[0])[0].id
        raise ValueError(
            f"{folder}: chunks with {num_items} of {plan.num_items} items are unfinished, the first at {first!r}; run "
            "again, every shard of it"
        )
    return _all_outcomes(plan)


def results(folder: str | os.PathLike[str]) -> Iterator[Mapping[str, Any]]:
    """Stream what the work returned in a finished run in which every item must be done, in the order of the items.

    Raises:
        ValueError: when an item has no outcome or was not done, naming the first one.
    """
    for outcome in outcomes(folder):
        if outcome.state != "done":
            raise ValueError(
                f"{folder}: item {outcome.id!r} was {outcome.state}: {outcome.reason} {outcome.detail}; problems.tsv "
                "lists all such items: fix their cause and run again with --retry-failed (or --retry-rejected)"
            )
        yield outcome.result


def _all_outcomes(plan: Plan) -> Iterator[Outcome]:
    for chunk in range(plan.num_chunks):
        for item, outcome in zip(plan.items(chunk), read_chunk(plan, chunk), strict=True):
            if item.id != outcome.id:
                raise ValueError(
                    f"{finished_path(plan, chunk)}: expected {item.id!r}, found {outcome.id!r}; delete this file "
                    "and run again: its items are done again"
                )
            yield outcome


def write_summary(plan: Plan) -> Summary:
    """Count the outcomes of the finished chunks; write FOLDER/summary.json and FOLDER/problems.tsv.

    problems.tsv has a header and a row per item that is not done: id, state, reason, detail.
    """
    while True:
        done = finished_chunks(plan)
        summary = _write(plan, sorted(done))
        # A shard that ended in the meantime may have written before us and seen more.
        if finished_chunks(plan) == done:
            return summary


def _write(plan: Plan, done: list[int]) -> Summary:
    states: Counter[str] = Counter(dict.fromkeys(STATES, 0))
    reasons: dict[str, Counter[str]] = {}
    with atomic_write(plan.folder / "problems.tsv") as file:
        file.write("id\tstate\treason\tdetail\n")
        for chunk in done:
            for outcome in read_chunk(plan, chunk):
                states[outcome.state] += 1
                if outcome.state != "done":
                    reasons.setdefault(outcome.state, Counter())[outcome.reason] += 1
                    file.write(f"{outcome.id}\t{outcome.state}\t{outcome.reason}\t{outcome.detail}\n")
    counted = {state: dict(counts.most_common()) for state, counts in reasons.items()}
    summary = Summary(plan.num_items, dict(states), counted, plan.num_items - states.total())
    with atomic_write(plan.folder / "summary.json") as file:
        file.write(json.dumps(asdict(summary), ensure_ascii=False, indent=1) + "\n")
    return summary
