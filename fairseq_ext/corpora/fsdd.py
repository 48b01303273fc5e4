"""Free Spoken Digit Dataset (FSDD): English digits, read by six men.

Layout: `recordings/{digit}_{speaker}_{index}.wav`, digit 0-9, index 0-49; mono 16-bit wav at 8 kHz, trimmed,
0.14-2.28 s. 3,000 recordings: 6 speakers x 10 digits x 50.

Source: the public GitHub repository Jakobovski/free-spoken-digit-dataset, of which `download` takes release
v1.0.10 (12 August 2020). Licence: Creative Commons Attribution-ShareAlike 4.0, by its contributors.

Splits: the repository's own test set (indices 0-4) shares its speakers with the training set, so it measures
known speakers. `published_split` is the published speaker-independent split: george, jackson, nicolas and
theo train; a random half each of lucas and yweweler is valid (497) and test (503), listed in
`fsdd_published_split.tsv`.
"""

import hashlib
import logging
import os
import re
import shutil
import tarfile
import wave
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from ..download import fetch
from ..file_errors import reading, writing
from ..files import read_lines, split_row
from ..manifest import Utterance
from ..text.published import Report

log = logging.getLogger(__name__)

SAMPLE_RATE_HZ = 8000
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RECORDINGS_PER_DIGIT = 50  # and speaker

# Country and mother tongue as the repository's metadata.py (v1.0.10) gives them; all six are men.
ACCENTS = {
    "george": "GRC/Greek",
    "jackson": "USA/neutral",
    "lucas": "DEU/German",
    "nicolas": "BEL/French",
    "theo": "USA/neutral",
    "yweweler": "DEU/German",
}
TRAINING_SPEAKERS = ("george", "jackson", "nicolas", "theo")  # of the published split

RELEASE = "v1.0.10"
ARCHIVE_URL = f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/{RELEASE}.tar.gz"
# Of `cd recordings && LC_ALL=C sha256sum *.wav | sha256sum` in that release. The archive itself is packed
# anew by its host and has no lasting checksum.
RECORDINGS_SHA256 = "1801eae019c063377d98f831d3f93574f259475df7332bb0e3d1b080fb5e6959"

_NAME = re.compile(r"(?P<digit>[0-9])_(?P<speaker>[a-z]+)_(?P<index>0|[1-9][0-9]*)\.wav")
_MAX_RECORDING_BYTES = 1 << 20  # the longest recording has 37 kB


def recordings_folder(root: str | os.PathLike[str]) -> Path:
    """Return the folder that the paths of `read` are relative to: `root`, or `recordings/` in it.

    Raises:
        FileNotFoundError: when neither holds a recording.
    """
    for folder in (Path(root) / "recordings", Path(root)):
        if folder.is_dir() and any(_NAME.fullmatch(name) for name in os.listdir(folder)):
            return folder
    raise FileNotFoundError(
        f"{root}: there is no recordings/{{digit}}_{{speaker}}_{{index}}.wav; "
        "pass the folder that holds recordings/, or download the corpus"
    )


def read(
    root: str | os.PathLike[str],
    *,
    on_problem: Report | None = None,
    expect_complete: bool = False,
) -> Iterator[Utterance]:
    """Read the corpus, or a synthetic one in its layout (see `corpora/__init__.py` for the contract).

    Utterances come by speaker, digit and index; paths are relative to `recordings_folder(root)`.

    Args:
        on_problem: receives one line per file that was skipped; by default it is logged as a warning.
        expect_complete: also report what the published corpus has and this one lacks.
    """
    report = on_problem or log.warning
    folder = recordings_folder(root)
    found: Counter[tuple[str, str]] = Counter()
    for speaker, digit_, index, name in _recordings(folder, report):
        try:
            num_samples = _num_samples(folder / name)
        except ValueError as error:
            report(f"{error}; skipped")
            continue
        found[speaker, digit_] += 1
        yield _utterance(speaker, digit_, index, name, num_samples)
    if expect_complete:
        for line in _count_problems(found):
            report(f"{folder}: {line}")


def _recordings(folder: Path, report: Report) -> list[tuple[str, str, int, str]]:
    """List (speaker, digit, index, file name), sorted."""
    recordings = []
    for name in sorted(os.listdir(folder)):
        match = _NAME.fullmatch(name)
        if match:
            recordings.append((match["speaker"], match["digit"], int(match["index"]), name))
        else:
            report(
                f"{folder / name}: the name is not of the form {{digit}}_{{speaker}}_{{index}}.wav; skipped"
            )
    return sorted(recordings)


def _num_samples(path: Path) -> int:
    """Read the header; raise ValueError for a file that training could not use."""
    try:
        with wave.open(str(path)) as file:
            rate, num_samples = int(file.getframerate()), int(file.getnframes())
            num_bytes = num_samples * file.getnchannels() * file.getsampwidth()
    except (wave.Error, EOFError, OSError) as error:
        raise ValueError(f"{path}: it is no wav file ({str(error) or 'cut-off header'})") from error
    if rate != SAMPLE_RATE_HZ:
        raise ValueError(f"{path}: {SAMPLE_RATE_HZ} Hz expected, found {rate} Hz")
    if num_samples < 1 or path.stat().st_size < num_bytes:
        raise ValueError(
            f"{path}: {num_bytes} bytes of audio expected, found a file of {path.stat().st_size} bytes"
        )
    return num_samples


def _utterance(speaker: str, digit_: str, index: int, name: str, num_samples: int) -> Utterance:
    return Utterance(
        id=f"{digit_}_{speaker}_{index}",
        path=name,
        num_samples=num_samples,
        transcript=WORDS[int(digit_)],
        speaker=speaker,
        language="en",
        accent=ACCENTS.get(speaker),
        gender="male" if speaker in ACCENTS else None,
    )


def digit(utterance: Utterance) -> str:
    """Return the class of an utterance of `read`: "0" ... "9"."""
    return utterance.id[0]


def _count_problems(found: Counter[tuple[str, str]]) -> list[str]:
    """Return a line per speaker and digit whose count is not the published one, and per speaker who does not belong."""
    expected = {(speaker, str(d)): RECORDINGS_PER_DIGIT for speaker in ACCENTS for d in range(10)}
    return [
        f"speaker {speaker}, digit {digit_}: {expected.get((speaker, digit_), 0)} recordings expected, "
        f"found {found[speaker, digit_]}; download the corpus again"
        for speaker, digit_ in sorted(expected.keys() | found.keys())
        if found[speaker, digit_] != expected.get((speaker, digit_), 0)
    ]


def published_split(utterance: Utterance) -> str:
    """Return the side of the published speaker-independent split that an utterance is on: "train", "valid" or "test".

    It holds for synthetic corpora too, since they use the same speakers' names and indices.

    Raises:
        ValueError: for a speaker who is not in the split.
    """
    if utterance.speaker in TRAINING_SPEAKERS:
        return "train"
    if utterance.speaker not in ACCENTS:
        raise ValueError(
            f"utterance {utterance.id!r}: the speaker {utterance.speaker} is none of {sorted(ACCENTS)}; use a split of "
            "fairseq_ext.splits"
        )
    return "test" if utterance.id in _published_test_ids() else "valid"


@cache
def _published_test_ids() -> frozenset[str]:
    path = Path(__file__).with_name("fsdd_published_split.tsv")
    rows = [split_row(line, 3, str(path)) for line in read_lines(path)][1:]
    return frozenset(
        f"{digit_}_{speaker}_{index}" for speaker, digit_, indices in rows for index in indices.split()
    )


def download(
    dest: str | os.PathLike[str],
    *,
    url: str = ARCHIVE_URL,
    sha256: str | None = RECORDINGS_SHA256,
    progress: Callable[[int, int | None], None] | None = None,
    retry_wait_s: float = 2.0,
) -> Path:
    """Fetch release v1.0.10 (16 MB) into `dest`, check and unpack it; continue where an earlier call was cut off.

    Args:
        dest: folder that will hold `recordings/`; it is returned.
        url: the archive (.tar.gz).
        sha256: checksum of the recordings, see `RECORDINGS_SHA256`; None checks counts and headers only.
        progress: called with the bytes fetched so far and their total (None when the host does not state it).
        retry_wait_s: pause before the second attempt; it doubles with each.

    Raises:
        ConnectionError: without internet; says which file to put where by hand.
        ValueError: when what arrived is not the corpus, or `recordings/` exists and is incomplete.
    """
    folder = Path(dest) / "recordings"
    if folder.exists():
        _verify(folder, sha256)
        return Path(dest)
    archive = Path(dest) / f"free-spoken-digit-dataset-{RELEASE}.tar.gz"
    partial = folder.with_name(".recordings.partial")

    def unpack(archive: Path) -> None:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            _unpack(archive, partial)
            _verify(partial, sha256)
        except ValueError:
            shutil.rmtree(partial)
            raise

    fetch(url, archive, check=unpack, progress=progress, retry_wait_s=retry_wait_s)
    os.replace(partial, folder)
    archive.unlink()
    return Path(dest)


def _unpack(archive: Path, folder: Path) -> None:
    """Extract the recordings from the archive; all other files and all paths in it are ignored."""
    with reading(archive, "a tar.gz archive", advice="run again"), tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            parent, name = os.path.split(member.name)
            if not (member.isfile() and os.path.basename(parent) == "recordings" and _NAME.fullmatch(name)):
                continue
            source = tar.extractfile(member)
            if source is not None and member.size <= _MAX_RECORDING_BYTES:
                content = source.read()
                with writing(folder / name):
                    (folder / name).write_bytes(content)


def _verify(folder: Path, sha256: str | None) -> None:
    """Raise ValueError unless the folder holds the whole corpus, byte for byte where `sha256` is known."""
    problems: list[str] = []
    for _ in read(folder, on_problem=problems.append, expect_complete=True):
        pass
    if not problems and sha256 is not None and (found := _sha256(folder)) != sha256:
        problems = [
            f"{folder}: recordings of sha256 {sha256} expected, found {found}; they are not release {RELEASE}"
        ]
    if problems:
        raise ValueError(f"{len(problems)} problems, the first: {problems[0]}")


def _sha256(folder: Path) -> str:
    names = sorted(os.listdir(folder))
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
