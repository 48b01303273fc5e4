"""Who trains and who is tested, for each question the spoken-digits recipe asks.

`published`             the published speaker-independent split: 4 speakers train, 2 unseen speakers valid and test.
`one_speaker`           the same, trained on george alone.
`labels/N`              the same, N labelled recordings per digit and training speaker; labels/2 holds labels/1, ...
`inner/SPEAKER`         leave one speaker out among the four that train in `published`: where every choice is made,
                        so that the speakers of `published` valid and test decide nothing.
`leaky/FOLD`            random folds over all recordings, the speakers shared: a control that shows what leakage
                        adds, not a result.

`valid` only draws the learning curve; no checkpoint is chosen with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..manifest import Utterance, write_dictionary, write_manifest
from ..splits import assert_disjoint, few_per_class_and_speaker, leave_one_speaker_out, random_folds
from . import fsdd

ONE_SPEAKER = "george"
LABELS_PER_DIGIT = (1, 2, 5, 10)
NUM_LEAKY_FOLDS = 5


@dataclass(frozen=True)
class Partition:
    """Three lists of recordings under one name."""

    name: str
    train: list[Utterance]
    test: list[Utterance]
    valid: list[Utterance] = field(default_factory=list)
    shares_speakers: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a speaker on both sides, unless the partition is the leaky control."""
        if not self.shares_speakers:
            held_out = [*self.valid, *self.test]
            assert_disjoint({"train": _speakers(self.train), "valid and test": _speakers(held_out)})


def _speakers(utterances: Sequence[Utterance]) -> set[str]:
    return {utterance.speaker or "" for utterance in utterances}


def partitions(utterances: Sequence[Utterance], seed: int = 1) -> Iterator[Partition]:
    """All partitions over one reading of the corpus.

    Args:
        utterances: the whole corpus, as `fsdd.read` gives it.
        seed: of the label subsets and of the leaky folds.
    """
    published = {
        name: [u for u in utterances if fsdd.published_split(u) == name]
        for name in ("train", "valid", "test")
    }
    train, valid, test = published["train"], published["valid"], published["test"]
    yield Partition("published", train, test, valid)
    yield Partition("one_speaker", [u for u in train if u.speaker == ONE_SPEAKER], test, valid)
    for count in LABELS_PER_DIGIT:
        few = few_per_class_and_speaker(train, count, fsdd.digit, seed)
        yield Partition(f"labels/{count}", few, test)
    for group, members in (("loso", list(utterances)), ("inner", train)):
        for speaker, rest, held_out in leave_one_speaker_out(members):
            yield Partition(f"{group}/{speaker}", rest, held_out)
    for fold, (rest, held_out) in enumerate(random_folds(utterances, NUM_LEAKY_FOLDS, seed)):
        yield Partition(f"leaky/{fold}", rest, held_out, shares_speakers=True)


def write(partition: Partition, folder: Path, root: Path) -> None:
    """Manifests of one partition: {train,valid,test}.{tsv,digit,wrd,meta.tsv} and dict.digit.txt.

    Args:
        partition: what to write.
        folder: where to; made when missing.
        root: folder of the recordings, first line of each tsv.
    """
    labels = {"digit": fsdd.digit, "wrd": lambda u: u.transcript or ""}
    for split in ("train", "valid", "test"):
        members = getattr(partition, split)
        if members:
            write_manifest(folder, split, members, root=root, labels=labels)
    counts = {digit: sum(fsdd.digit(u) == digit for u in partition.train) for digit in "0123456789"}
    write_dictionary(folder / "dict.digit.txt", counts)
