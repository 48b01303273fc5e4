"""Progress of a run, read from its folder: by the command itself or from another terminal."""

import time
from collections import Counter
from collections.abc import Set
from pathlib import Path
from typing import Any

from .checked_lines import decode
from .finished_chunks import chunks_with_journals, finished_chunks, journals_folder, read_counts
from .journal import attempts
from .plan import Plan
from .time_left import TimeLeft, sizes

_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<%s, {rate_fmt}{postfix}]"


class ProgressReader:
    """A reader of the counts of outcomes, and if `sized` of the items' sizes, that reads only what is new."""

    def __init__(self, plan: Plan, chunks: Set[int], *, sized: bool = False) -> None:
        self._plan, self._chunks = plan, chunks
        self._done: dict[int, Counter[str]] = {}
        self._offsets: dict[Path, int] = {}
        self._states: dict[int, dict[int, str]] = {}
        self.num_items = sum(plan.length(chunk) for chunk in chunks)
        self._sizes = {chunk: sum(sizes(plan.items(chunk))) if sized else 0.0 for chunk in chunks}
        self.size = sum(self._sizes.values())

    def counts(self) -> Counter[str]:
        """Count the items by state."""
        done = finished_chunks(self._plan) & self._chunks
        self._done = {chunk: self._counts_of(chunk) for chunk in done}
        active = (chunks_with_journals(self._plan) & self._chunks) - done
        self._states = {chunk: self._states_of(chunk) for chunk in active}
        total: Counter[str] = Counter()
        for counts in self._done.values():
            total.update(counts)
        for states in self._states.values():
            total.update(states.values())
        return total

    def size_done(self) -> float:
        """Return the sizes of the items of the last counts together."""
        size = sum(self._sizes[chunk] for chunk in self._done)
        for chunk, states in self._states.items():
            found = sizes(self._plan.items(chunk)) if self._sizes[chunk] else []
            size += sum(found[index] for index in states if index < len(found))
        return size

    def _counts_of(self, chunk: int) -> Counter[str]:
        known = self._done.get(chunk)
        return read_counts(self._plan, chunk) if known is None else known

    def _states_of(self, chunk: int) -> dict[int, str]:
        states = self._states.get(chunk, {})
        for path in attempts(journals_folder(self._plan, chunk)):
            states.update(self._new_states(path))
        return states

    def _new_states(self, path: Path) -> dict[int, str]:
        try:
            with open(path, "rb") as file:
                file.seek(self._offsets.get(path, 0))
                lines = file.read().splitlines(keepends=True)
        except FileNotFoundError:  # committed in the meantime
            return {}
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()  # being written
        self._offsets[path] = self._offsets.get(path, 0) + sum(map(len, lines))
        records = [record for line in lines if (record := decode(line)) is not None]
        return {record["index"]: record["state"] for record in records if "index" in record}


class ProgressBar:
    """A progress bar over the items of some chunks of a run."""

    def __init__(self, plan: Plan, chunks: Set[int], *, shown: bool = True) -> None:
        from tqdm import tqdm

        self._scan = ProgressReader(plan, chunks, sized=shown)
        num_done = self._scan.counts().total()
        self._bar: Any = tqdm(
            total=self._scan.num_items,
            initial=num_done,
            unit="item",
            miniters=0,  # as often as TQDM_MININTERVAL says, also while no item ends
            desc=_name(plan.folder),
            disable=not shown,
        )
        self._left = TimeLeft(self._scan.num_items, self._scan.size)
        self._left.add(time.monotonic(), num_done, self._scan.size_done())

    def update(self) -> Counter[str]:
        """Read the counts and redraw; return the number of items by state."""
        counts = self._scan.counts()
        self._left.add(time.monotonic(), counts.total(), self._scan.size_done())
        seconds = self._left.seconds()
        self._bar.bar_format = _FORMAT % ("?" if seconds is None else self._bar.format_interval(seconds))
        states = ", ".join(f"{n} {state}" for state, n in sorted(counts.items()))
        self._bar.set_postfix_str(states, refresh=False)
        self._bar.update(counts.total() - self._bar.n)
        return counts

    def close(self) -> None:
        """Leave the last state on the screen: what was committed while the counts were last read is in it, too."""
        self.update()
        self._bar.close()


def _name(folder: Path) -> str:
    """Return what a bar calls a run: OUT/jobs/embed is "embed OUT", so that runs side by side are told apart."""
    is_below = folder.parent.name == "jobs"
    return f"{folder.name} {folder.parents[1].name}" if is_below else folder.name
