"""Time of decoded sound: samples are counted, and time stamps say where nothing was recorded.

Sound is never dropped: where time stamps overlap, it follows what came before. What starts again near zero is another
recording (`streams.jumps_back`), for pictures and sound alike.
"""

# Sound further than this from its time stamp is moved to it. Stamps are rounded, to milliseconds in Matroska and FLV:
# speech written by FFmpeg 8 into 25 containers was off by 2 ms at most. Recorders of streams stamp whole packets (20 to
# 40 ms). A pause of recording is longer, and times of words stay right within a vowel.
MAX_JITTER_S = 0.06
_MAX_GAP_S = 600.0  # a longer one is taken for a damaged time stamp


class SampleClock:
    """The position of decoded frames on the time line of their file; `position` is the next sample, from its start."""

    def __init__(self, rate_hz: int, start_s: float | None) -> None:
        """Start at the time stamp `start_s` of the file, s; None: at that of the first frame."""
        self._rate_hz, self._start_s = rate_hz, start_s
        self.position = 0

    def gap(self, time_s: float | None) -> int:
        """Return how many samples of silence come before a frame with this time stamp; None: it has no stamp.

        Raises:
            ValueError: for a time stamp that must be damaged.
        """
        if time_s is None:
            return 0
        if self._start_s is None:
            self._start_s = time_s
        late_s = time_s - self._start_s - self.position / self._rate_hz
        if late_s > _MAX_GAP_S:
            raise ValueError(f"a time stamp of {time_s:.2f} s, {late_s:.2f} s later than expected")
        if not self.position and late_s <= MAX_JITTER_S:
            self._start_s = time_s  # so that the samples behind are not moved by it
        return round(late_s * self._rate_hz) if late_s > MAX_JITTER_S else 0
