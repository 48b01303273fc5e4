"""How long a run will take: by the sizes of its items where they are known, and by the speed of late."""

from collections.abc import Sequence

from .items import Item

# An item costs something whatever its size: a tenth of the mean item. For 400 items of sizes 1 to 100 in ascending
# order the time left is 1.4 times off at worst where the work is proportional to the size, and 1.8 times where another
# 0.3 of the mean comes to each; without this share 1.0 and 3.6 times (tests/unit/jobs/test_jobs_time_left.py).
_SHARE_OF_ANY = 0.1
_MAX_SAMPLES = 512


def sizes(items: Sequence[Item]) -> list[float]:
    """Return the size of each item: samples or bytes where its data states them, else 0."""
    return [_size(item) for item in items]


def _size(item: Item) -> float:
    found = item.data.get("num_samples", item.data.get("num_bytes"))
    values = found if isinstance(found, list) else [found]
    return float(sum(value for value in values if isinstance(value, int | float)))


class TimeLeft:
    """An estimate from the progress so far, by the number of items and the sum of their sizes."""

    def __init__(self, num_items: int, size: float) -> None:
        self._any = _SHARE_OF_ANY * size / num_items if size else 1.0
        self._total = size + self._any * num_items
        self._samples: list[tuple[float, float]] = []

    def add(self, time_s: float, num_items: int, size: float) -> None:
        """Add how much was done at a moment: the items, and their sizes together."""
        self._samples.append((time_s, size + self._any * num_items))
        if len(self._samples) > _MAX_SAMPLES:
            del self._samples[1:-1:2]

    def seconds(self) -> float | None:
        """Return the time left by the speed in the last half of the time so far, s; None before any item ended."""
        (start_s, begun), (now_s, done) = self._samples[0], self._samples[-1]
        middle_s = (start_s + now_s) / 2
        before_s, before = [sample for sample in self._samples if sample[0] <= middle_s][-1]
        if done <= before:  # nothing ended since
            before_s, before = start_s, begun
        return (self._total - done) * (now_s - before_s) / (done - before) if done > before else None
