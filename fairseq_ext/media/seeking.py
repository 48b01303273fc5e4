"""Seeking: which stretches of a file some span needs, and seeks over the others where they are exact."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

Span = tuple[float, float]

_PRE_ROLL_S = 0.5  # sound decoded before a span, so that a decoder with memory has settled
_SEEK_OVER_S = 15.0  # decoding less than this is as fast as seeking
_INDEXED = ("mov", "matroska")  # containers whose index makes a seek exact


class NeededSpans:
    """The stretches of time that some span needs, with their pre-roll, merged."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []
        for start, end in sorted(spans):
            if self._ends and start - _PRE_ROLL_S <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end + _PRE_ROLL_S)
            else:
                self._starts.append(start - _PRE_ROLL_S)
                self._ends.append(end + _PRE_ROLL_S)

    def holds(self, time_s: float) -> bool:
        index = bisect_right(self._starts, time_s) - 1
        return index >= 0 and time_s <= self._ends[index]

    def holds_packet(self, packet: Any, start_s: float) -> bool:
        """Return whether a packet is needed; the last one has no time stamp and flushes the decoder."""
        return packet.pts is None or self.holds(float(packet.pts * packet.time_base) - start_s)

    def next_start(self, time_s: float) -> float:
        """Return the start of the stretch that holds `time_s` or follows it; infinite after the last one."""
        index = bisect_right(self._ends, time_s)
        return self._starts[index] if index < len(self._starts) else math.inf

    @property
    def end_s(self) -> float:
        """End of the last stretch, s."""
        return max(self._ends, default=0.0)


class Skipper:
    """A decoder position that seeks over what no span needs."""

    def __init__(self, container: Any, stream: Any, start_s: float, wanted: NeededSpans) -> None:
        self._container, self._stream, self._start_s = container, stream, start_s
        self._exact = container.format.name.startswith(_INDEXED)
        self._wanted = wanted
        self._target_s: float | None = (
            None  # of the last seek, until a picture from before the target has come
        )
        self._margin_s = 0.0
        self._sought = False

    def skip(self, time_s: float) -> None:
        """Seek to the next stretch when it is far ahead."""
        start_s = self._wanted.next_start(time_s)
        if self._exact and _SEEK_OVER_S < start_s - time_s < math.inf:
            self._target_s, self._margin_s = start_s, 0.0
            self._seek()

    def overshot(self, time_s: float) -> bool:
        """Return whether the first picture after a seek came from after the target, and seek further back if so."""
        if self._target_s is None:
            return False
        if time_s <= self._target_s or self._margin_s > self._target_s:
            self._target_s = None
            return False
        self._margin_s = 2 * self._margin_s + 5
        self._seek()
        return True

    def take_seek(self) -> bool:
        """Return whether there was a seek since the last call."""
        sought, self._sought = self._sought, False
        return sought

    def _seek(self) -> None:
        assert self._target_s is not None
        target_s = max(0.0, self._target_s - self._margin_s) + self._start_s
        self._container.seek(int(target_s / self._stream.time_base), stream=self._stream)
        self._sought = True
