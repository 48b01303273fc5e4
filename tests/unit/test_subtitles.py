"""Subtitles: nothing is lost, limits hold, cuts are at pauses, files have the right format."""

import itertools
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.decoding.subtitles import Layout, TimedWord, subtitles, to_json, to_srt, to_text

SENTENCE = (
    "la plaça del coŀlegi és plena de gent que balla sardanes fins que es fa fosc i tothom torna a casa"
)


def timed_words(
    text: str, *, word_s: float = 0.3, pauses_s: dict[int, float] | None = None
) -> list[TimedWord]:
    """Make words in sequence, with pauses before some of them."""
    words, now_s = [], 0.5
    for i, word in enumerate(text.split()):
        now_s += (pauses_s or {}).get(i, 0.05)
        words.append(TimedWord(word, now_s, now_s + word_s, 0.9))
        now_s += word_s
    return words


random_words = st.lists(
    st.tuples(st.text("aàçŀ'-", min_size=1, max_size=50), st.floats(0, 3), st.floats(0.02, 2)), max_size=40
)


@settings(deadline=None)
@given(rows=random_words, max_lines=st.integers(1, 3))
def test_nothing_is_lost_and_limits_hold(rows: list[tuple[str, float, float]], max_lines: int) -> None:
    words, now_s = [], 0.0
    for text, pause_s, length_s in rows:
        words.append(TimedWord(text, now_s + pause_s, now_s + pause_s + length_s, 0.5))
        now_s += pause_s + length_s
    layout = Layout(max_lines=max_lines)
    cues = subtitles(words, layout)
    assert " ".join(line for cue in cues for line in cue.lines).split() == [word.text for word in words]
    for cue in cues:
        assert len(cue.lines) <= max_lines
        assert all(len(line) <= 42 or " " not in line for line in cue.lines)
        assert cue.start_s < cue.end_s
        alone = len(" ".join(cue.lines).split()) == 1
        assert alone or cue.end_s - cue.start_s <= layout.max_duration_s + 1e-9
    for one, other in itertools.pairwise(cues):
        assert one.end_s <= other.start_s


def test_a_long_pause_separates_subtitles() -> None:
    cues = subtitles(timed_words("bon dia a tothom", pauses_s={2: 1.5}))
    assert [cue.lines for cue in cues] == [("bon dia",), ("a tothom",)]


def test_beyond_the_limits_the_cut_is_at_the_longest_pause() -> None:
    words = timed_words(SENTENCE, pauses_s={10: 0.4})
    first, second = subtitles(words)[:2]
    assert " ".join(first.lines) == " ".join(SENTENCE.split()[:10])
    assert second.lines[0].startswith("sardanes")


def test_lines_are_balanced() -> None:
    (cue,) = subtitles(timed_words("la plaça del coŀlegi és plena de gent que balla", word_s=0.2))
    assert len(cue.lines) == 2
    assert abs(len(cue.lines[0]) - len(cue.lines[1])) <= 4
    (short,) = subtitles(timed_words("la plaça del coŀlegi"))
    assert short.lines == ("la plaça del coŀlegi",)


def test_a_short_subtitle_stays_until_it_can_be_read() -> None:
    alone = subtitles([TimedWord("sí", 1.0, 1.2, 0.9)])
    assert alone[0].end_s == pytest.approx(1 + 5 / 6)
    followed = subtitles([TimedWord("sí", 1.0, 1.2, 0.9), TimedWord("no", 1.5, 9.0, 0.9)])
    assert followed[0].end_s == 1.5


def test_srt_is_written_byte_for_byte() -> None:
    words = [TimedWord("plaça", 0.0004, 1.2, 0.9), TimedWord("coŀlegi", 3661.9996, 3662.75, 0.5)]
    assert to_srt(words) == (
        "1\n00:00:00,000 --> 00:00:01,200\nplaça\n\n2\n01:01:02,000 --> 01:01:02,833\ncoŀlegi\n"
    )
    assert "coŀlegi".encode() in to_srt(words).encode()
    assert to_srt([]) == ""
    clock = r"\d\d:\d\d:\d\d,\d{3}"
    for block in to_srt(timed_words(SENTENCE)).split("\n\n"):
        number, times, *lines = block.strip().split("\n")
        assert number.isdigit()
        assert re.fullmatch(f"{clock} --> {clock}", times)
        assert 1 <= len(lines) <= 2


def test_text_and_json_hold_the_words() -> None:
    words = [TimedWord("és", 0.12345, 0.5, 0.87654321), TimedWord("allà", 0.6, 1.0, 1.0)]
    assert to_text(words) == "és allà\n"
    assert "és allà" in to_json(words)  # letters as they are, no escapes
    found = json.loads(to_json(words))
    assert found["text"] == "és allà"
    assert found["words"][0] == {"word": "és", "start_s": 0.123, "end_s": 0.5, "confidence": 0.8765}
    assert json.loads(to_json([])) == {"text": "", "words": []}
