"""Connected digits: recordings of the Free Spoken Digit Dataset, joined to utterances of one speaker each.

The speech is as real as the corpus, its continuity is not: nobody said these sequences in one breath. Recordings
and speakers stay where the published split of `fsdd` has them, so no recording is on two sides, and the speakers
of valid and test are unknown to train.

Partitions, named as those of Common Voice:
`asr`        train: george, jackson, nicolas, theo; valid and test: lucas and yweweler, other recordings each.
`asr_1min`   the same, so much of train transcribed, spread over its speakers; asr_5min holds asr_1min. The
             dictionary is that of `asr`.
`ssl`        train and valid of `asr` without transcripts.

Layout of what `write` makes: `audio/{split}/{id}.flac`; in the folder of each partition `{split}.tsv`, `.wrd`, `.ltr`,
`.meta.tsv` and `dict.ltr.txt` as in manifests/README.md, and `{split}.times.tsv` with the span of each recording
(id, word_number from 0, word, start_s, end_s). `JOINED.txt` says how it was made.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from ..dictionary import write_dictionary
from ..files import atomic_write, read_lines
from ..manifest import SPLITS, Utterance, write_manifest
from ..splits import assert_disjoint, by_speaker
from ..text.spelling import Spelling, write_spelling
from ..text.units import count_units, to_characters
from . import fsdd

SAMPLE_RATE_HZ = 16_000  # models pre-trained on speech expect it; the recordings have 8 kHz
NUM_DIGITS = range(3, 8)  # of an utterance
LABEL_MINUTES = (1, 5)
LABEL_FILE = "JOINED.txt"
_SYNTHETIC = "SYNTHETIC.txt"  # the label of a synthetic corpus holds for what is made of it
VERSION = 1  # to be raised whenever the joined sound changes

Span = tuple[float, float]
# Joins files into one; the integer is a seed. Returns the number of samples and the span of each file, in seconds.
Join = Callable[[Sequence[Path], Path, int], tuple[int, Sequence[Span]]]


@dataclass(frozen=True, slots=True)
class Joint:
    """Recordings of one speaker that become one utterance."""

    id: str
    recordings: tuple[Utterance, ...]

    @property
    def transcript(self) -> str:
        """Return the digits as words."""
        return " ".join(recording.transcript or "" for recording in self.recordings)


def plan(recordings: Iterable[Utterance], name: str, *, uses: int, seed: int) -> list[Joint]:
    """Group recordings into utterances of 3 to 7, each of one speaker; they come by speaker.

    Args:
        name: name of the split; ids begin with it.
        uses: how often each recording occurs, exactly; never twice in one utterance.
        seed: another seed gives other sequences.

    Raises:
        ValueError: when `uses` is below 1, or a speaker has too few recordings for one utterance.
    """
    if uses < 1:
        raise ValueError(f"connected digits: {uses} uses of each recording are too few; choose 1 or more")
    joints = []
    for speaker, own in by_speaker(recordings).items():
        if len(own) < NUM_DIGITS[0]:
            raise ValueError(
                f"speaker {speaker}, {name}: {len(own)} recordings, {NUM_DIGITS[0]} are needed; "
                "download the corpus again"
            )
        rng = np.random.default_rng([seed, *name.encode(), *speaker.encode()])
        groups = chain.from_iterable(_groups(own, rng) for _ in range(uses))
        joints += [Joint(f"{name}_{speaker}_{i:04d}", group) for i, group in enumerate(groups)]
    return joints


def _groups(recordings: Sequence[Utterance], rng: np.random.Generator) -> Iterator[tuple[Utterance, ...]]:
    """Yield every recording once, in random order, in groups of random size; no rest is too small for a group."""
    order = [recordings[i] for i in rng.permutation(len(recordings))]
    while order:
        left = len(order)
        sizes = [n for n in NUM_DIGITS if n == left or n + NUM_DIGITS[0] <= left]
        size = int(rng.choice(sizes))
        yield tuple(order[:size])
        order = order[size:]


def label_subset(utterances: Iterable[Utterance], minutes: float) -> list[Utterance]:
    """Take utterances of at least so many minutes, from the speakers in turn; more minutes contain fewer.

    Raises:
        ValueError: when there is less speech.
    """
    everything = list(utterances)
    in_turn = chain.from_iterable(zip_longest(*by_speaker(everything).values()))
    chosen, left = set(), minutes * 60 * SAMPLE_RATE_HZ
    for utterance in filter(None, in_turn):
        if left <= 0:
            break
        chosen.add(utterance.id)
        left -= utterance.num_samples
    if left > 0:
        raise ValueError(f"labels: there are less than {minutes} minutes of speech; ask for fewer")
    return [utterance for utterance in everything if utterance.id in chosen]


def write(
    out: Path,
    recordings: Iterable[Utterance],
    root: Path,
    join: Join,
    *,
    uses: Mapping[str, int],
    seed: int = 1,
    label_minutes: Sequence[float] = LABEL_MINUTES,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, list[Utterance]]]:
    """Join the recordings of every split and write the manifests of every partition; resumable.

    Returns partition -> split -> utterances.

    Args:
        recordings: the corpus, of `fsdd.read`.
        join: writes one joined file, unless it is there already (`media.join.join_files`).
        uses: split -> how often each of its recordings occurs.
        seed: seed of the sequences and pauses.
        on_progress: called with the number of utterances done and the number of all.

    Raises:
        ValueError: for a folder that holds something else, and as `plan`.
    """
    everything = list(recordings)
    of_split = {name: [u for u in everything if fsdd.published_split(u) == name] for name in SPLITS}
    plans = {name: plan(of_split[name], name, uses=uses[name], seed=seed) for name in SPLITS}
    assert_disjoint(
        {
            "train": [u.speaker for u in of_split["train"]],
            "valid and test": [u.speaker for u in (*of_split["valid"], *of_split["test"])],
        }
    )
    _claim(
        out, {"version": VERSION, "seed": seed, "uses": dict(uses), "recordings": _fingerprint(everything)}
    )
    for label in (root / _SYNTHETIC, root.parent / _SYNTHETIC):
        if label.exists():
            shutil.copyfile(label, out / _SYNTHETIC)
    total = sum(map(len, plans.values()))
    utterances: dict[str, list[Utterance]] = {name: [] for name in SPLITS}
    spans: dict[str, Sequence[Span]] = {}
    for done, joint in enumerate(chain.from_iterable(plans.values()), 1):
        name = joint.id.partition("_")[0]
        path = f"{name}/{joint.id}.flac"
        paths = [root / recording.path for recording in joint.recordings]
        num_samples, spans[joint.id] = join(paths, out / "audio" / path, seed * 1_000_000 + done)
        utterances[name].append(_utterance(joint, path, num_samples, name))
        if on_progress is not None:
            on_progress(done, total)
    partitions = {"asr": utterances}
    for minutes in label_minutes:
        partitions[f"asr_{minutes:g}min"] = utterances | {"train": label_subset(utterances["train"], minutes)}
    for partition, members in partitions.items():
        _write_partition(out / partition, members, out / "audio", utterances["train"], spans)
    partitions["ssl"] = {split: utterances[split] for split in ("train", "valid")}
    for split, unlabelled in partitions["ssl"].items():
        write_manifest(out / "ssl", split, unlabelled, root=out / "audio", sample_rate_hz=SAMPLE_RATE_HZ)
    return partitions


def _fingerprint(recordings: Iterable[Utterance]) -> str:
    lines = sorted(f"{recording.id} {recording.num_samples}\n" for recording in recordings)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def _claim(out: Path, settings: Mapping[str, object]) -> None:
    """Say what the folder holds before anything else is written; refuse one that holds something else."""
    label, line = out / LABEL_FILE, json.dumps(settings)
    if label.exists():
        found = list(read_lines(label))[-1]
        if found != line:
            raise ValueError(f"{label}: the settings were {found}, not {line}; choose another folder")
        return
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out}: the folder has files but no {LABEL_FILE}; choose another")
    with atomic_write(label) as file:
        file.write(
            "Real recordings of the Free Spoken Digit Dataset, joined by fairseq_ext into connected digits.\n"
        )
        file.write(f"{line}\n")


def _utterance(joint: Joint, path: str, num_samples: int, split: str) -> Utterance:
    first = joint.recordings[0]
    return Utterance(
        id=joint.id,
        path=path,
        num_samples=num_samples,
        transcript=joint.transcript,
        speaker=first.speaker,
        language=first.language,
        accent=first.accent,
        gender=first.gender,
        split=split,
    )


def _letters(utterance: Utterance) -> list[str]:
    return to_characters(utterance.transcript or "")


def _write_partition(
    folder: Path,
    members: Mapping[str, Sequence[Utterance]],
    root: Path,
    train: Sequence[Utterance],
    spans: Mapping[str, Sequence[Span]],
) -> None:
    write_spelling(folder, Spelling("en"))
    write_dictionary(folder / "dict.ltr.txt", count_units(map(_letters, train)))
    labels = {"wrd": lambda u: u.transcript or "", "ltr": lambda u: " ".join(_letters(u))}
    for split, utterances in members.items():
        with atomic_write(folder / f"{split}.times.tsv") as file:
            file.write("id\tword_number\tword\tstart_s\tend_s\n")
            file.writelines(chain.from_iterable(_time_lines(u, spans[u.id]) for u in utterances))
        write_manifest(folder, split, utterances, root=root, labels=labels, sample_rate_hz=SAMPLE_RATE_HZ)


def _time_lines(utterance: Utterance, spans: Sequence[Span]) -> Iterator[str]:
    words = (utterance.transcript or "").split()
    for number, (word, (start_s, end_s)) in enumerate(zip(words, spans, strict=True)):
        yield f"{utterance.id}\t{number}\t{word}\t{start_s:.6f}\t{end_s:.6f}\n"
