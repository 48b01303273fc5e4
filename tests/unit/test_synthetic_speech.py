"""The synthesiser: reproducible whatever was spoken before, phonemes inside the audio, clear errors."""

import ctypes
import gc
import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.synthetic import speech

pytest.importorskip("espeakng_loader", reason="needs pip install -e .[synthetic]")

# Voices with flutter, breath, echo and the Klatt synthesiser: each keeps its own state inside espeak-ng.
REQUESTS = [
    ("Bon dia a tothom, avui farà sol.", "ca", ""),
    ("Bon dia a tothom, avui farà sol.", "ca-va", "f2"),
    ("bonjour tout le monde", "fr", "f4"),
    ("buongiorno a tutti", "it", "klatt2"),
    ("buenos días", "es", "belinda"),
    ("bom dia", "pt", "whisper"),
    ("seven", "en-us", "m3"),
]


def digest(request: tuple[str, str, str]) -> str:
    """Return samples and phoneme times of a request as a hash."""
    text, language, variant = request
    result = speech.synthesise(text, language=language, variant=variant)
    return hashlib.sha256(result.samples.tobytes() + repr(result.phonemes).encode()).hexdigest()


def test_equal_arguments_give_equal_samples_in_any_order_and_process() -> None:
    expected = {request: digest(request) for request in REQUESTS}
    shuffled = REQUESTS * 5
    random.Random(1).shuffle(shuffled)
    assert all(digest(request) == expected[request] for request in shuffled)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(digest, list(reversed(REQUESTS))) == [expected[r] for r in reversed(REQUESTS)]


def test_threads_and_forked_children_get_the_same_samples() -> None:
    expected = [digest(request) for request in REQUESTS]
    found: dict[int, list[str]] = {}
    threads = [
        threading.Thread(target=lambda n=n: found.__setitem__(n, [digest(r) for r in REQUESTS]))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [expected] * 3
    if sys.platform == "linux":
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(digest, REQUESTS) == expected


def test_settings_change_the_sound() -> None:
    base = {"text": "zero one two", "language": "en-us", "variant": "f2"}
    changes = [{}, {"pitch": 80}, {"pitch_range": 90}, {"rate_wpm": 250}, {"variant": "m3"}, {"seed": 3}]
    results = [speech.synthesise(**{**base, **change}).samples.tobytes() for change in changes]
    assert len(set(results)) == len(changes)


def test_higher_pitch_is_higher_and_higher_rate_is_shorter() -> None:
    def fundamental_hz(pitch: int) -> float:
        result = speech.synthesise("aaa", language="ca", pitch=pitch)
        middle = result.samples[len(result.samples) // 3 :][:2048].astype(np.float64)
        correlation = np.correlate(middle, middle, "full")[2047:]
        return result.sample_rate_hz / (60 + int(correlation[60:400].argmax()))

    assert fundamental_hz(20) < fundamental_hz(50) < fundamental_hz(80)
    lengths = [
        speech.synthesise("bon dia", language="ca", rate_wpm=rate).duration_s for rate in (100, 160, 300)
    ]
    assert lengths == sorted(lengths, reverse=True)


TEXTS = {
    "ca": "L'Àlex és a la plaça; la col·lega parla de l'intel·ligent coŀlegi, i ja està. Què vols?",
    "fr": "Où est l'élève? Ça va, garçon!",
    "it": "Perché la città è così lontana?",
    "es": "El niño comió jamón en España.",
    "pt": "A maçã não está no chão, avó.",
}


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_phonemes_are_in_order_and_inside_the_audio(language: str) -> None:
    result = speech.synthesise(TEXTS[language], language=language)
    starts = [p.start_s for p in result.phonemes]
    assert starts == sorted(starts)
    assert all(0 <= p.start_s <= p.end_s <= result.duration_s for p in result.phonemes)
    assert all(a.end_s <= b.start_s for a, b in zip(result.phonemes, result.phonemes[1:], strict=False))
    assert len(result.phonemes) > 15
    assert result.samples.dtype == np.float32
    assert 0.05 < np.abs(result.samples).max() <= 1


def test_catalan_letters_are_read_as_catalan() -> None:
    def ipa(text: str) -> str:
        return "".join(p.ipa for p in speech.synthesise(text, language="ca").phonemes)

    assert ipa("plaça") == "plˈasə"
    assert ipa("coŀlegues") == ipa("col·legues") != ipa("col.legues")
    assert ipa("cafè") != ipa("cafe")


def test_loud_phonemes_are_loud_at_their_times() -> None:
    result = speech.synthesise("pa", language="ca")
    vowel = result.phonemes[-1]
    inside = result.samples[int(vowel.start_s * 22050) : int(vowel.end_s * 22050)]
    before = result.samples[: int(result.phonemes[0].start_s * 22050)]
    assert np.mean(inside**2) > 50 * np.mean(np.pad(before, (0, 1)) ** 2)


def test_a_switch_of_language_is_no_phoneme() -> None:
    symbols = [p.ipa for p in speech.synthesise("one seven", language="fr").phonemes]
    assert not any("(" in symbol or ")" in symbol for symbol in symbols)


def test_lists_name_the_romance_languages_and_both_genders() -> None:
    languages = {
        "ca",
        "ca-ba",
        "ca-nw",
        "ca-va",
        "fr",
        "fr-be",
        "it",
        "es",
        "es-419",
        "pt",
        "pt-br",
        "en-us",
        "de",
    }
    assert languages <= set(speech.list_languages())
    variants = speech.list_variants()
    assert len(variants) > 90
    assert {variants["f2"], variants["m3"]} == {"female", "male"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"language": "catalan"}, ["language", "'catalan'"]),
        ({"language": "ca-vv"}, ["did you mean", "ca-va"]),
        ({"variant": "f22"}, ["variant", "'f22'", "f2"]),
        ({"pitch": 100}, ["pitch", "0-99", "100"]),
        ({"pitch_range": -1}, ["pitch_range", "-1"]),
        ({"rate_wpm": 500}, ["rate_wpm", "80-450", "500"]),
        ({"text": ""}, ["text", "''"]),
        ({"text": " \n"}, ["text"]),
        ({"text": "bon\0dia"}, ["NUL"]),
        ({"text": "... !"}, ["nothing to speak"]),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the words are checked below)
        speech.synthesise(**{"text": "bon dia", "language": "ca", **arguments})
    assert all(word in str(caught.value) for word in words)


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=30))
def test_any_text_is_spoken_or_refused(text: str) -> None:
    try:
        result = speech.synthesise(text, language="ca")
    except ValueError:
        return
    assert result.phonemes
    assert np.isfinite(result.samples).all()
    assert all(0 <= p.start_s <= p.end_s <= result.duration_s for p in result.phonemes)


def test_a_long_path_of_the_package_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """espeak-ng itself fails when the path of its data is longer than 160 bytes."""
    import espeakng_loader

    expected = digest(REQUESTS[0])
    deep = tmp_path.joinpath(*["d" * 60] * 4)
    deep.mkdir(parents=True)
    (deep / "espeak-ng-data").symlink_to(espeakng_loader.get_data_path())
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(deep / "espeak-ng-data"))
    assert digest(REQUESTS[0]) == expected


@contextmanager
def library_in_use() -> Iterator[None]:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
    library.espeak_SetVoiceByName(b"fr")
    try:
        yield
    finally:
        speech._unload(library)


def test_a_library_in_use_by_another_package_changes_nothing() -> None:
    expected = [digest(request) for request in REQUESTS]
    with library_in_use():
        assert [digest(request) for request in REQUESTS] == expected
    assert digest(REQUESTS[0]) == expected[0]


def test_where_no_copy_can_be_loaded_the_error_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "libespeak-ng.so"
    broken.write_text("no library")
    monkeypatch.setattr(shutil, "copy", lambda *_: os.fspath(broken))
    with library_in_use(), pytest.raises(speech.SpeechError, match="set TMPDIR"):
        speech.synthesise("bon dia", language="ca")


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(speech.SpeechError, match=r"pip install 'fairseq-ext\[synthetic\]'"):
        speech.synthesise("bon dia", language="ca")


def test_words_follow_one_another_and_hold_their_sounds() -> None:
    text = "L'home de la plaça, dóna-me'l al col·legi: vint-i-cinc pingüins."
    result = speech.synthesise(text, language="ca")
    assert [word.number for word in result.words] == list(range(9))
    starts, ends = [w.start_s for w in result.words], [w.end_s for w in result.words]
    assert all(a < b for a, b in zip(starts, ends, strict=True))
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    square = next(word for word in result.words if text.split()[word.number] == "plaça,")
    sounds = [p.ipa for p in result.phonemes if square.start_s <= p.start_s < square.end_s]
    assert sounds == ["p", "l", "ˈa", "s", "ə"]
    # The comma's pause belongs to no word.
    assert starts[4] - square.end_s > 0.1


def test_words_spoken_as_one_have_no_times() -> None:
    text = "the boy of the house"
    found = [text.split()[w.number] for w in speech.synthesise(text, language="en-us").words]
    assert found == ["the", "boy", "house"]


def test_what_is_raised_during_synthesis_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal's exception in the callback, which ctypes drops, would leave a recording with a gap."""
    whole = speech.synthesise("one two three", language="en")
    with monkeypatch.context() as patch:
        patch.setattr(speech, "_Mark", Mock(side_effect=SystemExit(143)))
        with pytest.raises(SystemExit, match="143"):
            speech.synthesise("one two three", language="en")
    assert np.array_equal(speech.synthesise("one two three", language="en").samples, whole.samples)


def speak_until(signal_after_s: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, signal_after_s)
    for _ in range(100):
        speech.synthesise("one two three four five six seven", language="en")


def test_a_signal_is_not_lost_in_synthesis() -> None:
    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGALRM, stop)
    whole = digest(REQUESTS[0])
    gc.disable()  # Python drops what is raised in a callback of the collector, and hypothesis has one
    try:
        for delay_s in (0.002, 0.004, 0.006):
            with pytest.raises(SystemExit, match="142"):
                speak_until(delay_s)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.enable()
        signal.signal(signal.SIGALRM, before)
    assert digest(REQUESTS[0]) == whole
