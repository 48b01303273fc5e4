"""Progress of a run, read from its folder: by the command itself or from another terminal."""

from collections import Counter
from collections.abc import Set
from pathlib import Path
from typing import Any

from .checked_lines import decode
from .finished_chunks import chunks_with_journals, finished_chunks, journals_folder, read_counts
from .journal import attempts
from .plan import Plan


class ProgressReader:
    """A reader of the counts of outcomes that reads only what is new.

    Args:
        plan: plan of the run.
        chunks: chunks to count.
    """

    def __init__(self, plan: Plan, chunks: Set[int]) -> None:
        self._plan, self._chunks = plan, chunks
        self._done: dict[int, Counter[str]] = {}
        self._offsets: dict[Path, int] = {}
        self._states: dict[int, dict[int, str]] = {}
        self.num_items = sum(plan.length(chunk) for chunk in chunks)

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
    """A progress bar over the items of a run.

    Args:
        plan: plan of the run.
        chunks: chunks to count.
        shown: whether to show it.
    """

    def __init__(self, plan: Plan, chunks: Set[int], *, shown: bool = True) -> None:
        from tqdm import tqdm

        self._scan = ProgressReader(plan, chunks)
        self._bar: Any = tqdm(
            total=self._scan.num_items,
            initial=self._scan.counts().total(),
            unit="item",
            miniters=0,  # as often as TQDM_MININTERVAL says, also while no item ends
            desc=plan.folder.name,
            disable=not shown,
        )

    def update(self) -> Counter[str]:
        """Read the counts and redraw.

        Returns:
            Number of items by state.
        """
        counts = self._scan.counts()
        states = ", ".join(f"{n} {state}" for state, n in sorted(counts.items()))
        self._bar.set_postfix_str(states, refresh=False)
        self._bar.update(counts.total() - self._bar.n)
        return counts

    def close(self) -> None:
        """Close the bar and leave its last state on the screen."""
        self._bar.close()
