"""A synthetic Common Voice in the published layout of the real one, version 17 and later.

Layout (https://github.com/common-voice/cv-dataset, datasets/scripted-speech/README.md; values as written by
https://github.com/common-voice/common-voice, bundler/queries/bundleLocale.sql):

    {locale}/{train,dev,test,validated,invalidated,other}.tsv   one row per clip, columns below, never quoted
    {locale}/clip_durations.tsv                                 clip, duration[ms]
    {locale}/validated_sentences.tsv                            also those that nobody has read yet
    {locale}/clips/common_voice_{locale}_{number}.mp3           mono, 32 kHz, 48 kbit/s

The README calls the first column of clip_durations.tsv `filename`; the published files have `clip`. Left out:
reported.tsv and unvalidated_sentences.tsv. Beside the layout: `SYNTHETIC.txt` in the root says what this is, and
`{locale}/SYNTHETIC_times.tsv` the times of the words, which the real corpus lacks (clip, word number from 0, word,
start_s, end_s; no rows for words that the synthesiser speaks as one, nor for clips that stop too early).
"""

import argparse
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import av
import soundfile

from ..files import atomic_write
from ..jobs import Item, Work, one_by_one
from .common_voice_plan import ACCENTS, Clip, Sizes, plan_clips
from .corpus_folder import LABEL_FILE, SCRATCH, claim, describe, making
from .voices import Samples, speak

__all__ = ["ACCENTS", "COLUMNS", "LABEL_FILE", "SAMPLE_RATE_HZ", "TIMES_FILE", "Sizes", "write"]

SUMMARY = "Common Voice 17 and later: sentences in mp3"
# The platform's transcoding (common-voice repository, server/src/lib/clip.ts).
SAMPLE_RATE_HZ = 32_000
BITRATE_BPS = 48_000  # bytes over duration of all Catalan clips of release 24: 48.1 kbit/s
TIMES_FILE = "SYNTHETIC_times.tsv"
# Raise it whenever audio or text changes, so that a folder of an older version is not continued.
VERSION = 1
_ABOUT = (
    "This corpus is synthetic: spoken by the espeak-ng synthesiser, not by people, in sentences made by a grammar. "
    "Results on it say nothing about real speech."
)

COLUMNS = (
    *("client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes"),
    *("age", "gender", "accents", "variant", "locale", "segment"),
)
BUCKETS = ("train", "dev", "test", "validated", "invalidated", "other")
_TABLES = (*(f"{name}.tsv" for name in BUCKETS), "clip_durations.tsv", "validated_sentences.tsv", TIMES_FILE)
_SENTENCE_COLUMNS = ("sentence_id", "sentence", "sentence_domain", "source", "is_used", "clips_count")

Times = tuple[tuple[int, float, float], ...]


def write(
    root: str | Path,
    locale: str = "ca",
    *,
    sizes: Sizes | None = None,
    seed: int = 1,
    num_workers: int = 1,
    progress: bool = True,
) -> dict[str, int]:
    """Write the corpus of one locale, or what is missing of it; the tsv files appear last.

    Equal arguments give equal tsv files and equal sound. Several locales may share a root.

    Args:
        root: folder that holds the locales, created when missing.
        locale: one of `ACCENTS`.
        sizes: speakers and minutes of the splits; default: enough for a demo.
        seed: random seed of speakers and sentences.
        num_workers: number of processes.
        progress: show a progress bar.

    Returns:
        Rows of each tsv file.

    Raises:
        ValueError: when an argument is out of range, or the folder holds anything other than this corpus.
        SpeechError: when the package espeakng-loader is missing.
    """
    root, sizes = Path(root), sizes or Sizes()
    clips, unread = plan_clips(locale, sizes, seed)
    settings = {"version": VERSION, "locale": locale, "seed": seed, **asdict(sizes)}
    claim(root, _ABOUT, settings, part="locale")
    folder = root / locale
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    _refuse_others(folder, {clip.name for clip in clips})
    is_whole, times = partial(_is_whole, folder), _known_times(folder)
    missing = [c for c in clips if not (is_whole(c.name) and (c.name in times or c.is_cut))]
    tables = {name: list(_rows(clips, locale, name)) for name in BUCKETS}
    if missing or not all((folder / name).exists() for name in _TABLES):
        for name in BUCKETS:
            (folder / f"{name}.tsv").unlink(missing_ok=True)
        names, work = [clip.name for clip in missing], partial(_clip_work, folder, missing)
        options: dict[str, Any] = {"batch_size": 4, "num_workers": num_workers, "progress": progress}
        with making(
            folder, names, work, is_there=is_whole, title=f"common_voice_{locale}", **options
        ) as made:
            times |= {name: tuple((n, a, b) for n, a, b in result["times"]) for name, result in made.items()}
            _write_tables(folder, clips, unread, times, tables)
    return {name: len(rows) for name, rows in tables.items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this corpus to a parser."""
    parser.add_argument("--locale", default="ca", choices=ACCENTS, help="language (default: ca)")
    for size in fields(Sizes):
        option, default = f"--{size.name.replace('_', '-')}", size.default
        parser.add_argument(
            option, type=type(default), default=default, metavar="N", help=f"default: {default}"
        )


def run(args: argparse.Namespace) -> str:
    """Write the corpus as the command line asks; return a line that says what there is now."""
    sizes = Sizes(**{size.name: getattr(args, size.name) for size in fields(Sizes)})
    counts = write(args.out, args.locale, sizes=sizes, seed=args.seed, num_workers=args.workers)
    return describe(counts, args.out / args.locale)


def _refuse_others(folder: Path, wanted: set[str]) -> None:
    """Raise ValueError when another file is among the clips: this is then not our folder."""
    others = sorted(set(os.listdir(folder / "clips")) - wanted)
    if others:
        raise ValueError(
            f"{folder / 'clips'}: {len(others)} files such as {others[0]} are not clips of this corpus; choose another "
            "folder"
        )


def _is_whole(folder: Path, name: str) -> bool:
    """Return whether a clip has all of its bytes: the bit rate is constant, so its duration gives its size."""
    path = folder / "clips" / name
    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError:
        return False
    return bool(info.samplerate == SAMPLE_RATE_HZ and path.stat().st_size * 8 >= info.duration * BITRATE_BPS)


def _clip_work(folder: Path, clips: Sequence[Clip]) -> Work:
    by_name = {clip.name: clip for clip in clips}

    def record(item: Item) -> dict[str, Any]:
        return {"times": _record(folder, by_name[item.id])}

    return one_by_one(record)


def _record(folder: Path, clip: Clip) -> Times:
    """Synthesise a clip and write its mp3, which appears when it is complete."""
    speech = speak(clip.speaker.voice, clip.spoken.text, take=clip.take, sample_rate_hz=SAMPLE_RATE_HZ)
    samples = speech.samples[: len(speech.samples) // 2] if clip.is_cut else speech.samples
    scratch = folder / f"{SCRATCH}{os.getpid()}.mp3"
    _write_mp3(scratch, samples)
    scratch.replace(folder / "clips" / clip.name)
    if clip.is_cut:
        return ()
    return tuple((word.number, round(word.start_s, 3), round(word.end_s, 3)) for word in speech.words)


def _write_mp3(path: Path, samples: Samples) -> None:
    """Write an mp3 with a header that holds its length, so that decoders drop the encoder's padding."""
    # 7, from 0 (slowest) to 9, is twice as fast as the default 5 and has the same error against the samples.
    options = {"compression_level": "7"}
    with av.open(str(path), "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=SAMPLE_RATE_HZ, layout="mono", options=options)
        stream.bit_rate = BITRATE_BPS
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


def _time_lines(clip: Clip, spans: Times) -> str:
    rows = (
        (clip.name, number, clip.spoken.words[number], start_s, end_s) for number, start_s, end_s in spans
    )
    return "".join(_line(row) for row in rows)


def _known_times(folder: Path) -> dict[str, Times]:
    """Return the word times in the folder; a clip whose last row was cut off by a crash is left out."""
    path = folder / TIMES_FILE
    content = path.read_bytes() if path.exists() else b""
    whole, _, rest = content.rpartition(b"\n")
    found: dict[str, list[tuple[int, float, float]]] = {}
    name = ""
    for row in whole.decode("utf-8").splitlines():
        name, number, _, start_s, end_s = row.split("\t")
        if number != "word_number":
            found.setdefault(name, []).append((int(number), float(start_s), float(end_s)))
    if rest:
        found.pop(name, None)
    return {name: tuple(spans) for name, spans in found.items()}


def _write_tables(
    folder: Path, clips: list[Clip], unread: list[str], times: dict[str, Times], tables: dict[str, list[str]]
) -> None:
    """Write all tables; train.tsv last, so that a folder that has it is complete."""
    durations = (
        (clip.name, round(soundfile.info(str(folder / "clips" / clip.name)).duration * 1000))
        for clip in clips
    )
    _write_lines(
        folder / TIMES_FILE, [_TIMES_HEADER, *(_time_lines(clip, times.get(clip.name, ())) for clip in clips)]
    )
    _write_lines(folder / "clip_durations.tsv", [_line(("clip", "duration[ms]")), *map(_line, durations)])
    _write_lines(
        folder / "validated_sentences.tsv", [_line(_SENTENCE_COLUMNS), *_sentence_rows(clips, unread)]
    )
    for name in reversed(BUCKETS):
        _write_lines(folder / f"{name}.tsv", [_line(COLUMNS), *tables[name]])


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with atomic_write(path) as file:
        file.writelines(lines)


def _rows(clips: list[Clip], locale: str, name: str) -> Iterator[str]:
    """Yield the rows of a tsv, by speaker and number; validated.tsv includes the splits."""
    buckets = {"train", "dev", "test", "validated"} if name == "validated" else {name}
    for clip in sorted(clips, key=lambda clip: (clip.speaker.client_id, clip.take)):
        if clip.bucket in buckets:
            speaker = clip.speaker
            votes = (clip.up_votes, clip.down_votes)
            about = ("", speaker.gender, speaker.accents, speaker.variant, locale, "")
            sentence = (_sentence_id(clip.text), clip.text, clip.domain)
            yield _line((speaker.client_id, clip.name, *sentence, *votes, *about))


def _sentence_rows(clips: list[Clip], unread: list[str]) -> Iterator[str]:
    counts = Counter(clip.text for clip in clips)
    domains = {clip.text: clip.domain for clip in clips}
    for text in sorted({*counts, *unread}):
        used = text in counts
        yield _line(
            (_sentence_id(text), text, domains.get(text, ""), "made by a grammar", int(used), counts[text])
        )


def _sentence_id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _line(cells: Iterable[object]) -> str:
    return "\t".join(map(str, cells)) + "\n"


_TIMES_HEADER = _line(("clip", "word_number", "word", "start_s", "end_s"))
