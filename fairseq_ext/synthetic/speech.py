"""Text to speech with phoneme and word times, through the espeak-ng library inside the wheel `espeakng-loader`.

Shapes: S samples at `sample_rate_hz` (22,050 for espeak-ng 1.52).

Reproducible: equal arguments give equal samples, in any order of calls and in any process of one machine.
espeak-ng keeps state between utterances (noise generator, flutter, wave phase, echo buffer), and neither
`espeak_ng_SetRandSeed` nor a new `espeak_Initialize` clears it; so each call loads the library afresh and
unloads it, for about 3 ms a call.

Threads: calls take turns behind one lock. Processes: independent; fork and spawn are both safe.
"""

import bisect
import contextlib
import ctypes
import difflib
import functools
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..optional import import_optional

__all__ = [
    "Phoneme", "Speech", "SpeechError", "Word", "list_languages", "list_variants", "mnemonics", "synthesise",
]  # fmt: skip

RATE_RANGE_WPM = (80, 450)  # espeakRATE_MINIMUM and espeakRATE_MAXIMUM of speak_lib.h
PITCH_RANGE = (0, 99)

# From espeak-ng 1.52 speak_lib.h.
_OUTPUT_SYNCHRONOUS = 2
_PHONEME_EVENTS, _PHONEME_IPA, _DONT_EXIT = 0x0001, 0x0002, 0x8000
_CHARS_UTF8, _POS_CHARACTER = 1, 1
_PHONEME_INPUT = 0x100
_PARAM_RATE, _PARAM_VOLUME, _PARAM_PITCH, _PARAM_RANGE = 1, 2, 3, 4
_EVENT_LIST_TERMINATED, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
# espeak-ng copies the path of its data into a buffer of 160 bytes and fails, naming another path, beyond it.
_MAX_DATA_PATH_BYTES = 150
# The default volume of 100 drives the louder variants into espeak's limiter.
_VOLUME = 60
# A word read by another language's rules is announced as "(en)"; it is no sound.
_LANGUAGE_SWITCH = re.compile(r"\([\w-]*\)?")

_lock = threading.Lock()


class SpeechError(OSError):
    """The synthesiser is not installed or refused to work."""


class Phoneme(NamedTuple):
    """One speech sound: its span in seconds and its IPA symbol (stress mark included)."""

    start_s: float
    end_s: float
    ipa: str


class Word(NamedTuple):
    """One word: its span in seconds, and its number (from 0) among the words of the text, split at spaces."""

    start_s: float
    end_s: float
    number: int


@dataclass(frozen=True, slots=True)
class Speech:
    """Samples (S,) float32 in [-1, 1], their rate, and the phonemes and words in order of time.

    Words that espeak-ng speaks as one ("of the") have no boundary between them and are left out of `words`.
    """

    samples: npt.NDArray[np.float32]
    sample_rate_hz: int
    phonemes: tuple[Phoneme, ...]
    words: tuple[Word, ...] = ()

    @property
    def duration_s(self) -> float:
        """Duration of the audio in seconds."""
        return len(self.samples) / self.sample_rate_hz


class _Mark(NamedTuple):
    """The sample at which a phoneme or pause ("") starts, and the character (from 1) its word starts at."""

    sample: int
    symbol: str
    character: int


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def list_languages() -> list[str]:
    """List the languages that `synthesise` takes, e.g. `ca`, `ca-va`, `fr-be`, `en-us`; `en` is British."""
    return list(_languages(_locate()[1]))


def list_variants() -> dict[str, str]:
    """List the voice variants, which all go with every language: name -> "male", "female", or "" when not stated."""
    return dict(_variants(_locate()[1]))


def synthesise(
    text: str,
    *,
    language: str,
    variant: str = "",
    pitch: int = 50,
    pitch_range: int = 50,
    rate_wpm: int = 160,
    seed: int = 0,
    is_phonemes: bool = False,
) -> Speech:
    """Speak a text; equal arguments give equal samples.

    Args:
        text: text to speak, in the language's spelling.
        language: one of `list_languages()`.
        variant: one of `list_variants()`, or "" for the language's own voice.
        pitch: base pitch, 0-99 (50: the variant's default).
        pitch_range: how far the melody swings, 0-99.
        rate_wpm: words per minute, 80-450.
        seed: random seed of the breath noise, which only some variants have.
        is_phonemes: the text holds espeak-ng's mnemonics of phonemes instead of words, as `mnemonics` returns them,
            joined by bars within a word and by spaces between words. At one that the language lacks speech ends.

    Returns:
        The speech; phoneme and word times are monotone and lie inside the audio.

    Raises:
        ValueError: when an argument is out of range, unknown, or the text holds nothing that can be spoken.
        SpeechError: when the library is missing or fails.
    """
    library_path, data_path = _locate()
    _check(text, language, variant, data_path, pitch=pitch, pitch_range=pitch_range, rate_wpm=rate_wpm)
    parameters = {
        _PARAM_RATE: rate_wpm,
        _PARAM_VOLUME: _VOLUME,
        _PARAM_PITCH: pitch,
        _PARAM_RANGE: pitch_range,
    }
    with _lock, _fresh_library(library_path, data_path) as (library, sample_rate_hz):
        _set_voice(library, f"{language}+{variant}" if variant else language, parameters, seed)
        samples, marks = _run(library, f"[[{text}]]" if is_phonemes else text, is_phonemes=is_phonemes)
    spans = _spans(marks, len(samples), sample_rate_hz)
    phonemes = tuple(phoneme for phoneme, _ in spans)
    if not phonemes:
        raise ValueError(f"synthesise: the text {text!r} has nothing to speak in {language!r}; drop it")
    return Speech(samples.astype(np.float32) / 32768.0, sample_rate_hz, phonemes, _words(text, spans))


def mnemonics(text: str, *, language: str) -> list[list[str]]:
    """Return the phonemes of each word as espeak-ng writes them, with marks of stress: "'" primary, "," secondary.

    Words that are spoken as one are one. Pauses between clauses are left out.

    Raises:
        ValueError: when the language is unknown, or the text holds nothing that can be spoken.
        SpeechError: when the library is missing or fails.
    """
    library_path, data_path = _locate()
    _check(text, language, "", data_path)
    clauses = []
    with _lock, _fresh_library(library_path, data_path) as (library, _):
        _set_voice(library, language, {}, 0)
        function = library.espeak_TextToPhonemes
        function.restype = ctypes.c_char_p
        rest = ctypes.c_char_p(text.encode("utf-8"))
        while rest.value is not None:
            clauses.append(function(ctypes.byref(rest), _CHARS_UTF8, ord("|") << 8).decode("utf-8"))
    words = [word.split("|") for clause in clauses for word in clause.split()]
    return [phonemes for word in words if (phonemes := [p for p in word if p and not p.startswith("_")])]


def _locate() -> tuple[Path, Path]:
    """Return the paths of the library and its data folder."""
    if os.name != "posix":
        raise SpeechError("synthetic speech: it needs Linux or macOS")
    try:
        espeakng_loader = import_optional("espeakng_loader")
    except ImportError as error:
        raise SpeechError(f"synthetic speech: {error}") from error
    return Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())


@functools.cache
def _languages(data_path: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name.lower() for path in (data_path / "lang").rglob("*") if path.is_file()))


@functools.cache
def _variants(data_path: Path) -> tuple[tuple[str, str], ...]:
    return tuple((path.name, _gender(path)) for path in sorted((data_path / "voices" / "!v").iterdir()))


def _gender(variant_file: Path) -> str:
    header = variant_file.read_text(encoding="utf-8", errors="replace").lower()
    match = re.search(r"^gender\s+(male|female)\b", header, flags=re.MULTILINE)
    return match[1] if match else ""


def _check(text: str, language: str, variant: str, data_path: Path, **numbers: int) -> None:
    if "\0" in text or not text.strip():
        raise ValueError(f"synthesise: the text {text!r} is blank or has a NUL; drop it")
    _check_known("language", language, _languages(data_path))
    if variant:
        _check_known("variant", variant, [name for name, _ in _variants(data_path)])
    for name, value in numbers.items():
        low, high = RATE_RANGE_WPM if name == "rate_wpm" else PITCH_RANGE
        if not low <= value <= high:
            raise ValueError(f"synthesise: expected {name} in {low}-{high}, found {value}")


def _check_known(what: str, name: str, known: tuple[str, ...] | list[str]) -> None:
    if name not in known:
        close = ", ".join(difflib.get_close_matches(name, known, n=5, cutoff=0.4)) or f"see list_{what}s()"
        raise ValueError(f"synthesise: espeak-ng has no {what} {name!r}; did you mean {close}?")


@contextlib.contextmanager
def _fresh_library(library_path: Path, data_path: Path) -> Iterator[tuple[Any, int]]:
    """Load the library in its initial state and unload it afterwards; yield it and its sample rate."""
    with _short_path(data_path) as short:
        library = (
            _load_copy(library_path) if _is_loaded(library_path) else ctypes.CDLL(os.fspath(library_path))
        )
        try:
            options = _PHONEME_EVENTS | _PHONEME_IPA | _DONT_EXIT
            sample_rate_hz = library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, os.fsencode(short), options)
            if sample_rate_hz <= 0:
                raise SpeechError(f"{data_path}: espeak-ng's data is missing; reinstall espeakng-loader")
            yield library, sample_rate_hz
            library.espeak_Terminate()
        finally:
            _unload(library)


def _load_copy(library_path: Path) -> ctypes.CDLL:
    """Load a copy, which shares nothing with what is loaded.

    For where another package uses the library: what we say would depend on what that has spoken. And for where the
    exception of a signal came between loading and unloading.
    """
    with tempfile.TemporaryDirectory(prefix="espeak") as folder:
        path = shutil.copy(library_path, folder)
        try:
            return ctypes.CDLL(path)
        except OSError as error:
            raise SpeechError(
                f"{library_path}: another package has loaded this library, and a copy cannot be loaded ({error}); "
                "set TMPDIR to a folder whose files may be executed, or synthesise in a process of its own"
            ) from error


def _is_loaded(library_path: Path) -> bool:
    try:
        _unload(ctypes.CDLL(os.fspath(library_path), mode=os.RTLD_NOLOAD | os.RTLD_NOW))
    except OSError:
        return False
    return True


def _unload(library: ctypes.CDLL) -> None:
    dlclose = ctypes.CDLL(None).dlclose
    dlclose.argtypes = [ctypes.c_void_p]
    dlclose(library._handle)


@contextlib.contextmanager
def _short_path(data_path: Path) -> Iterator[Path]:
    """Yield the folder, or a link to it with a path short enough for espeak-ng."""
    if len(os.fsencode(data_path)) <= _MAX_DATA_PATH_BYTES:
        yield data_path
        return
    with tempfile.TemporaryDirectory(prefix="espeak") as folder:
        link = Path(folder, "espeak-ng-data")
        link.symlink_to(data_path, target_is_directory=True)
        yield link


def _set_voice(library: Any, name: str, parameters: dict[int, int], seed: int) -> None:
    status = library.espeak_SetVoiceByName(name.encode())
    if status != 0:
        raise SpeechError(
            f"espeak-ng: the voice {name!r} cannot be loaded (error {status}); reinstall espeakng-loader"
        )
    for parameter, value in parameters.items():
        library.espeak_SetParameter(parameter, value, 0)
    library.espeak_ng_SetRandSeed(ctypes.c_long(seed))


def _run(library: Any, text: str, *, is_phonemes: bool = False) -> tuple[npt.NDArray[np.int16], list[_Mark]]:
    """Synthesise a text; return samples (S,) and, in order, where each phoneme and pause starts."""
    pieces: list[npt.NDArray[np.int16]] = []
    marks: list[_Mark] = []
    character = 0

    def collect(wave: Any, num_samples: int, events: Any) -> int:
        nonlocal character
        if wave and num_samples > 0:
            pieces.append(np.ctypeslib.as_array(wave, (num_samples,)).copy())
        index = 0
        while events[index].type != _EVENT_LIST_TERMINATED:
            event = events[index]
            if event.type == _EVENT_WORD:
                character = event.text_position
            elif event.type == _EVENT_PHONEME:
                # The field holds 8 bytes: a longer symbol may be cut inside a character.
                symbol = event.id.string.decode("utf-8", errors="ignore")
                marks.append(_Mark(event.sample, _LANGUAGE_SWITCH.sub("", symbol), character))
            index += 1
        return 0

    callback = _Callback(collect)
    library.espeak_SetSynthCallback(callback)
    data = text.encode("utf-8")
    size = ctypes.c_size_t(len(data) + 1)
    flags = _CHARS_UTF8 | (_PHONEME_INPUT if is_phonemes else 0)
    with _raise_what_is_raised_in(collect):
        status = library.espeak_Synth(data, size, 0, _POS_CHARACTER, 0, flags, None, None)
    if status != 0:
        raise SpeechError(f"espeak-ng: {text[:40]!r} cannot be spoken (error {status}); drop it")
    return (np.concatenate(pieces) if pieces else np.zeros(0, np.int16)), marks


@contextlib.contextmanager
def _raise_what_is_raised_in(callback: Any) -> Iterator[None]:
    """Raise, after the block, what a callback of C raised in it.

    ctypes only prints it. A signal that comes while espeak-ng works is handled in the callback, often before its first
    line, where it could not catch anything: the `SystemExit` of a stopped worker was lost with a piece of the audio.
    """
    lost: list[BaseException] = []
    before = sys.unraisablehook

    def keep(found: Any) -> None:
        if found.object is callback:
            lost.append(found.exc_value)
        else:
            before(found)

    sys.unraisablehook = keep
    try:
        yield
    finally:
        sys.unraisablehook = before
    if lost:
        raise lost[0]


def _spans(marks: list[_Mark], num_samples: int, sample_rate_hz: int) -> list[tuple[Phoneme, int]]:
    """Return phonemes and the character at which their word starts; each lasts until the next mark or the end."""
    starts = np.maximum.accumulate(np.array([mark.sample for mark in marks] + [num_samples]))
    times_s = (np.clip(starts, 0, num_samples) / sample_rate_hz).tolist()
    spans = zip(times_s[:-1], times_s[1:], marks, strict=True)
    return [(Phoneme(a, b, mark.symbol), mark.character) for a, b, mark in spans if mark.symbol]


def _words(text: str, spans: list[tuple[Phoneme, int]]) -> tuple[Word, ...]:
    """Return the words' times, first to last phoneme; goes by order, since neighbours may share a time."""
    tokens = [token.span() for token in re.finditer(r"\S+", text)]
    spoken: dict[int, list[Phoneme]] = {}
    for phoneme, character in spans:
        index = bisect.bisect_right(tokens, (character - 1, len(text))) - 1
        spoken.setdefault(index, []).append(phoneme)
    silent = {i for i, (a, b) in enumerate(tokens) if i not in spoken and any(map(str.isalnum, text[a:b]))}
    return tuple(
        Word(phonemes[0].start_s, phonemes[-1].end_s, index)
        for index, phonemes in sorted(spoken.items())
        if index + 1 not in silent
    )
