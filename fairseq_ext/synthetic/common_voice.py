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
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import av
import soundfile

from ..files import atomic_path, atomic_write
from .common_voice_plan import ACCENTS, Clip, Sizes, plan_clips
from .corpus_folder import LABEL_FILE, claim, describe, making, refuse_others
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
    """Write the corpus of one locale, or what is missing of it; return the rows of each tsv file, which appear last.

    Args:
        root: folder that holds the locales, of which several may share one; created when missing.
        locale: one of `ACCENTS`.
        sizes: speakers and minutes of the splits; default: enough for a demo.
        seed: random seed of speakers and sentences.
        num_workers: number of processes.
        progress: show a progress bar.
    """
    root, sizes = Path(root), sizes or Sizes()
    clips, unread = plan_clips(locale, sizes, seed)
    settings = {"version": VERSION, "locale": locale, "seed": seed, **asdict(sizes)}
    claim(root, _ABOUT, settings, part="locale")
    folder = root / locale
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    refuse_others(folder / "clips", {clip.name for clip in clips})
    is_whole, times = partial(_is_whole, folder), _known_times(folder)
    missing = [c for c in clips if not (is_whole(c.name) and (c.name in times or c.is_cut))]
    tables = {name: list(_rows(clips, locale, name)) for name in BUCKETS}
    if missing or not all((folder / name).exists() for name in _TABLES):
        for name in BUCKETS:
            (folder / f"{name}.tsv").unlink(missing_ok=True)
        by_name = {clip.name: clip for clip in missing}
        options: dict[str, Any] = {"batch_size": 4, "num_workers": num_workers, "progress": progress}
        options |= {"is_there": is_whole, "title": f"common_voice_{locale}"}
        with making(folder, list(by_name), partial(_make, folder, by_name), **options) as made:
            times |= {name: tuple((n, a, b) for n, a, b in result["times"]) for name, result in made.items()}
            _write_tables(folder, clips, unread, times, tables)
    return {name: len(rows) for name, rows in tables.items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this corpus to a parser."""
    parser.add_argument("--locale", default="ca", choices=ACCENTS, help="language (default: ca)")
    for size in fields(Sizes):
        option, about = f"--{size.name.replace('_', '-')}", f"default: {size.default}"
        parser.add_argument(option, type=type(size.default), default=size.default, metavar="N", help=about)


def run(args: argparse.Namespace) -> str:
    """Write the corpus as the command line asks; return a line that says what there is now."""
    sizes = Sizes(**{size.name: getattr(args, size.name) for size in fields(Sizes)})
    counts = write(args.out, args.locale, sizes=sizes, seed=args.seed, num_workers=args.workers)
    return describe(counts, args.out / args.locale)


def _is_whole(folder: Path, name: str) -> bool:
    """Return whether a clip has all of its bytes: the bit rate is constant, so its duration gives its size."""
    path = folder / "clips" / name
    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError:
        return False
    return bool(info.samplerate == SAMPLE_RATE_HZ and path.stat().st_size * 8 >= info.duration * BITRATE_BPS)


def _make(folder: Path, clips: Mapping[str, Clip], name: str) -> dict[str, Times]:
    """Synthesise a clip and write its mp3, which appears when it is complete."""
    clip = clips[name]
    speech = speak(clip.speaker.voice, clip.spoken.text, take=clip.take, sample_rate_hz=SAMPLE_RATE_HZ)
    samples = speech.samples[: len(speech.samples) // 2] if clip.is_cut else speech.samples
    with atomic_path(folder / "clips" / clip.name, durable=False) as temporary:
        _write_mp3(temporary, samples)
    words = () if clip.is_cut else speech.words
    return {"times": tuple((number, round(start_s, 3), round(end_s, 3)) for start_s, end_s, number in words)}


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
        _line((clip.name, round(soundfile.info(str(folder / "clips" / clip.name)).duration * 1000)))
        for clip in clips
    )
    words = (
        _line((clip.name, number, clip.spoken.words[number], start_s, end_s))
        for clip in clips
        for number, start_s, end_s in times.get(clip.name, ())
    )
    _write_table(folder / TIMES_FILE, ("clip", "word_number", "word", "start_s", "end_s"), words)
    _write_table(folder / "clip_durations.tsv", ("clip", "duration[ms]"), durations)
    _write_table(folder / "validated_sentences.tsv", _SENTENCE_COLUMNS, _sentence_rows(clips, unread))
    for name in reversed(BUCKETS):
        _write_table(folder / f"{name}.tsv", COLUMNS, tables[name])


def _write_table(path: Path, header: Iterable[str], lines: Iterable[str]) -> None:
    with atomic_write(path) as file:
        file.writelines([_line(header), *lines])


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
        facts = (text, domains.get(text, ""), "made by a grammar", int(text in counts), counts[text])
        yield _line((_sentence_id(text), *facts))


def _sentence_id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _line(cells: Iterable[object]) -> str:
    return "\t".join(map(str, cells)) + "\n"
