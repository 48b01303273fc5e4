"""Signals, votes and filters, on texts that recognisers really wrote."""

import pytest

from fairseq_ext.labelling.filters import REASONS, FilterSettings, judge, names
from fairseq_ext.labelling.repetition import written_once
from fairseq_ext.labelling.signals import characters_per_second, foreign_letters, loop_score
from fairseq_ext.labelling.table import ClipLabel
from fairseq_ext.labelling.videos import video_of
from fairseq_ext.labelling.vote import Vote, is_other, to_decode_again, vote

GOOD = "Et pourtant, on vient tous de l'océan."


def label(text: str = GOOD, name: str = "a", **changes: object) -> ClipLabel:
    columns: dict[str, object] = {
        "id": name, "video": "v", "state": "labelled", "language": "fr", "language_probability": 0.9,
        "languages": "fr:0.9 it:0.05", "text": text, "avg_logprob": -0.3, "no_speech_prob": 0.05,
        "compression_ratio": 1.0, "loop_score": loop_score(text),
        "characters_per_second": characters_per_second(text, 2.5, "fr"), "num_tokens": 9, "temperature": 0.0,
        "duration_s": 3.0, "speech_s": 2.5, "model": "large-v2",
    }  # fmt: skip
    return ClipLabel(**{**columns, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        (None, label()),
        (None, label(" et pourtant on vient tous de locéan")),  # spelled as in mTEDx
        (None, label("Il y a 12 personnes en 2018, soit 3,5 % 🌊")),
        (None, label("Monsieur Ångström a dit: très, très bien!")),
        ("loop", label("Merci. Merci. Merci. Merci. Merci.")),
        ("loop", label("on y va on y va on y va on y va")),
        ("loop", label("Ha" * 20)),
        ("compressible", label(GOOD, compression_ratio=2.5)),
        ("script", label("Спасибо за просмотр")),
        ("script", label("et 我们 都是 来自 海洋 的")),
        ("too_few_words", label("🎵🎵🎵")),
        ("too_few_words", label("")),
        ("too_few_words", label("... ! ?")),
        ("credits", label("Sous-titres réalisés par la communauté d'Amara.org")),
        ("credits", label("Sottotitoli creati dalla comunità Amara.org", language="it")),
        ("credits", label("Subtítulos por la comunidad de Amara.org", language="es")),
        ("credits", label("Legendas pela comunidade Amara.org", language="pt")),
        ("unlikely", label(avg_logprob=-1.01)),
        ("no_speech", label(no_speech_prob=0.96)),
        (None, label(no_speech_prob=0.91)),  # as of isolated digits, word-perfect
        (None, label(no_speech_prob=None)),  # our own recogniser has no such probability
        ("no_speech", label(state="no_speech", text="")),
        ("other_language", label(state="other_language", text="")),
        ("unreadable", label(state="unreadable", text="")),
        ("failed", label(state="failed", text="")),
        ("little_speech", label(speech_s=0.5)),
        ("language_unsure", label(language_probability=0.49)),
        ("too_slow", label("oui", speech_s=1.1)),
        ("too_fast", label(speech_s=0.95)),
    ],
)
def test_each_filter_rejects_for_its_reason(reason: str | None, found: ClipLabel) -> None:
    alone = None if found.language != "fr" else Vote("fr", 1.0, 1)
    assert judge(found, alone, FilterSettings()) == reason
    assert reason is None or reason in REASONS


def test_limits_can_be_set_and_are_checked() -> None:
    assert judge(label(avg_logprob=-1.5), None, FilterSettings(min_avg_logprob=-2.0)) is None
    assert judge(label("oui merci"), None, FilterSettings(min_words=3)) == "too_few_words"
    assert {"min_avg_logprob", "max_loop_score", "min_words"} < set(names())
    with pytest.raises(ValueError, match="--min-characters-per-second below the max"):
        FilterSettings(min_characters_per_second=40.0)
    for name, value in (
        ("min_avg_logprob", 3.0),
        ("min_avg_logprob", float("nan")),
        ("min_speech_share", 80.0),
        ("max_no_speech_prob", 7.0),
        ("max_compression_ratio", 0.0),
    ):
        with pytest.raises(ValueError, match=f"--{name.replace('_', '-')}: .* expected, found {value}"):
            FilterSettings(**{name: value})


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("", 0.0), ("no", 0.0), ("no no", 0.5), ("no no no no", 0.75), ("No, no. NO", 2 / 3),
        ("le chat dort", 0.0), ("le chat le chat le chat dort", 4 / 7), ("a b a c a d", 0.0),
        ("x" * 30, 29 / 30), ("oui " + "ha" * 20, 38 / 43), ("papa maman", 0.0),
    ],
)  # fmt: skip
def test_loop_score(text: str, score: float) -> None:
    assert loop_score(text) == pytest.approx(score)


def test_foreign_letters() -> None:
    assert foreign_letters("L’œuvre d'Ångström: ça va?", "fr") == 0.0
    assert foreign_letters("abc где", "fr") == 0.5
    assert foreign_letters("12 % 🌊", "fr") == 0.0
    # A language without rules: its script is that of most letters.
    assert foreign_letters("Мир вам, Whisper", "ru") == 0.0
    assert foreign_letters("これは日本語です", "ja") == 0.0
    assert foreign_letters("Мир вам всем 我们", "ru") == pytest.approx(2 / 12)


@pytest.mark.parametrize(
    ("text", "language", "letters"),
    [
        ("7, 8, 2, 3", "en", 5 + 5 + 3 + 5),  # as "seven eight two three"
        ("3,5 %", "fr", len("troisvirgulecinqpourcent")),
        ("vier 7", "de", 4 + 5),  # without rules a digit counts as 5 letters
        ("!?", "en", 0),
    ],
)
def test_the_speed_is_that_of_the_text_as_spoken(text: str, language: str, letters: int) -> None:
    assert characters_per_second(text, 2.0, language) == letters / 2


def test_tables_of_earlier_versions_are_judged_as_spoken() -> None:
    found = label("7, 8, 2, 3", language="en", languages="en:0.9", characters_per_second=1.6)
    assert judge(found, Vote("en", 1.0, 1), FilterSettings()) is None


def test_all_clips_of_a_video_vote_on_its_language() -> None:
    sure, unsure = "fr:0.95 it:0.03", "it:0.5 fr:0.45"
    rows = [
        label(name="a", languages=sure), label(name="b", languages=sure),
        label(name="c", languages=unsure, language="it"),
        label(name="d", languages="es:0.99 pt:0.01", language="es", state="other_language"),
        label(name="e", languages="", state="no_speech"),
        label(name="f", video="w", languages=unsure, language="it"),
    ]  # fmt: skip
    votes = vote(rows)
    assert votes == {"v": Vote("fr", 0.5, 4), "w": Vote("it", 1.0, 1)}
    assert [is_other(row, votes["v"]) for row in rows[:4]] == [False, False, False, True]
    again = to_decode_again(rows, votes, ["fr", "it", "es"])
    assert [(row.id, code) for row, code in again] == [("c", "fr")]
    assert to_decode_again(rows, votes, ["it"]) == []
    judged = [judge(row, votes[row.video], FilterSettings()) for row in rows[:4]]
    assert judged == [None, None, "language_of_video", "other_language"]
    # A clip decoded in the language of its video is trusted when most of the clips agree.
    second = label(name="c", languages=unsure, language_probability=0.45)
    assert judge(second, Vote("fr", 0.75, 4), FilterSettings()) is None
    assert judge(second, Vote("fr", 0.4, 5), FilterSettings()) == "language_unsure"


def test_no_clip_can_veto_alone() -> None:
    rows = [label(name="x", languages="en:1.0000")] + [
        label(name=f"{i}", languages="fr:0.6 en:0.3") for i in range(9)
    ]
    assert vote(rows)["v"].language == "fr"


@pytest.mark.parametrize(
    ("clip", "source", "video"),
    [
        ("id08977/3ap0QSyN6Vc/00008", "dev/mp4/id08977/3ap0QSyN6Vc/00008.mp4", "3ap0QSyN6Vc"),
        ("enSzPLXxw8I_115.715600_119.986533", "clips/enSzPLXxw8I_115.715600_119.986533.mp4", "enSzPLXxw8I"),
        ("fr/train/0u7tTptBo9I_0004", "video/fr/train/0u7tTptBo9I.mp4", "0u7tTptBo9I"),
        ("s1/bbaf2n", "s1/bbaf2n.mpg", "s1/bbaf2n"),
        ("talk_0001", "talks/talk.mp4", "talks/talk"),
        ("alone", "", "alone"),
    ],
)
def test_the_video_of_a_clip(clip: str, source: str, video: str) -> None:
    assert video_of(clip, source) == video


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (
            "Bin blue in f one again, Bin blue in f one again,",
            "Bin blue in f one again,",
        ),  # Whisper base, GRID
        ("bin red at s two now " * 3, "bin red at s two now"),
        ("Bin blue in f one again, Bin blue in f two again,", None),  # not the same
        ("Bin blue in f one again, Bin blue in f", None),  # not whole
        ("very much, very much, very much, very much, very much", None),  # too short: people say such things
        ("Bin blue in f one again.", None),
        ("", None),
    ],
)
def test_a_sentence_that_is_written_twice_is_kept_once(written: str, kept: str | None) -> None:
    found = label(written, language="en", languages="en:0.9", speech_s=1.2, duration_s=3.0)
    once = written_once(found, 20.0)
    assert once == found if kept is None else once.text == kept
    if kept is not None:
        assert characters_per_second(found.text, 1.2, "en") > 20
        assert judge(once, Vote("en", 1.0, 1), FilterSettings()) is None


def test_what_can_be_said_twice_in_the_time_stays() -> None:
    text = "Bin blue in f one again, Bin blue in f one again,"
    found = label(text, language="en", speech_s=2.5, duration_s=3.0)
    assert written_once(found, 20.0) is found  # 15 letters per second
    assert written_once(found, 14.0).text == "Bin blue in f one again,"
