"""Timed words as plain text, JSON, and SubRip subtitles."""

import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word with its times.

    Attributes:
        text: the word.
        start_s: start in the recording, s.
        end_s: end in the recording, s.
        confidence: geometric mean of p over the frames, 0 to 1.
    """

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Layout:
    """The limits of a subtitle, by default those of Netflix's Timed Text Style Guide (general requirements).

    Attributes:
        max_line_chars: characters in a line; a longer word gets its own line.
        max_lines: lines in a subtitle.
        max_duration_s: longest time from the first word's start to the last word's end, s.
        min_duration_s: shortest time on screen, unless the next subtitle starts, s.
        max_pause_s: longest pause between two words of a subtitle, s.
    """

    max_line_chars: int = 42
    max_lines: int = 2
    max_duration_s: float = 7.0
    min_duration_s: float = 5 / 6
    max_pause_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Subtitle:
    """Lines of text with the times at which they appear and disappear, s."""

    lines: tuple[str, ...]
    start_s: float
    end_s: float


def to_text(words: Sequence[TimedWord]) -> str:
    """Return the words as one line of text, with a line break."""
    return " ".join(word.text for word in words) + "\n"


def to_json(words: Sequence[TimedWord]) -> str:
    """Return the words as JSON, times to the millisecond.

    `{"text": ..., "words": [{"word", "start_s", "end_s", "confidence"}, ...]}`
    """
    rows = [
        {
            "word": word.text,
            "start_s": round(word.start_s, 3),
            "end_s": round(word.end_s, 3),
            "confidence": round(word.confidence, 4),
        }
        for word in words
    ]
    return (
        json.dumps({"text": to_text(words).rstrip("\n"), "words": rows}, ensure_ascii=False, indent=1) + "\n"
    )


def to_srt(words: Sequence[TimedWord], layout: Layout | None = None) -> str:
    """Return the words as SubRip subtitles; empty without words. Layout None = the defaults of `Layout`."""
    blocks = [
        f"{number}\n{_clock(cue.start_s)} --> {_clock(cue.end_s)}\n" + "\n".join(cue.lines) + "\n"
        for number, cue in enumerate(subtitles(words, layout), 1)
    ]
    return "\n".join(blocks)


def _clock(time_s: float) -> str:
    seconds, milliseconds = divmod(round(time_s * 1000), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02},{milliseconds:03}"


def subtitles(words: Sequence[TimedWord], layout: Layout | None = None) -> list[Subtitle]:
    """Cut words into subtitles that do not overlap.

    They are cut at long pauses, and beyond the limits at the longest pause of the second half.
    """
    layout = layout or Layout()
    groups: list[list[TimedWord]] = []
    current: list[TimedWord] = []
    for word in words:
        if current and word.start_s - current[-1].end_s > layout.max_pause_s:
            groups.append(current)
            current = []
        current = [*current, word]
        while len(current) > 1 and not _fits(current, layout):
            cut = _best_cut(current)
            groups.append(current[:cut])
            current = current[cut:]
    if current:
        groups.append(current)
    starts = [group[0].start_s for group in groups] + [math.inf]
    return [_subtitle(group, start, layout) for group, start in zip(groups, starts[1:], strict=True)]


def _fits(words: Sequence[TimedWord], layout: Layout) -> bool:
    lines = _lines(words, layout.max_line_chars)
    return len(lines) <= layout.max_lines and words[-1].end_s - words[0].start_s <= layout.max_duration_s


def _best_cut(words: Sequence[TimedWord]) -> int:
    """Return the number of words before the longest pause of the second half; without pauses, all but the last."""
    places = range(len(words) - 1, (len(words) - 1) // 2, -1)
    return max(places, key=lambda i: words[i].start_s - words[i - 1].end_s)


def _lines(words: Sequence[TimedWord], width: int) -> list[str]:
    text = " ".join(word.text for word in words)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _subtitle(words: Sequence[TimedWord], next_start_s: float, layout: Layout) -> Subtitle:
    """Break words into lines of about equal length: the narrowest with the least number of lines."""
    num_lines = len(_lines(words, layout.max_line_chars))
    widths = range(1, layout.max_line_chars + 1)
    width = next(w for w in widths if len(_lines(words, w)) <= num_lines)
    end_s = max(words[-1].end_s, words[0].start_s + layout.min_duration_s)
    return Subtitle(tuple(_lines(words, width)), words[0].start_s, min(end_s, next_start_s))
