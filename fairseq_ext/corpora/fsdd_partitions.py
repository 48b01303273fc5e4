"""The partitions of the Free Spoken Digit Dataset, one for each question of the spoken-digits recipe.

`published`             the published speaker-independent split: 4 speakers train, 2 unseen speakers valid and test.
`one_speaker`           the same, trained on george alone.
`labels/N`              the same, N labelled recordings per digit and training speaker; labels/2 holds labels/1, ...
`loso/SPEAKER`          leave one speaker out, all six.
`inner/SPEAKER`         leave one speaker out among the four that train in `published`: where every choice is made,
                        so that the speakers of `published` valid and test decide nothing.
`leaky/FOLD`            random folds over all recordings that share speakers: a control that shows what leakage
                        adds, not a result.

`valid` only draws the learning curve; no checkpoint is chosen with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from ..manifest import Utterance
from . import fsdd
from .partitions import Partition, few_labels, leaky_control, leave_one_out, published, with_classes

ONE_SPEAKER = "george"
LABELS_PER_DIGIT = (1, 2, 5, 10)
NUM_LEAKY_FOLDS = 5


def partitions(utterances: Sequence[Utterance], seed: int = 1) -> Iterator[Partition]:
    """Make all partitions of the whole corpus, with the streams `digit` (a class) and `wrd` (its word).

    `seed` is that of the label subsets and of the leaky folds.
    """
    base = published(utterances, fsdd.published_split)
    only_one = [u for u in base.train if u.speaker == ONE_SPEAKER]
    found = chain(
        (base, replace(base, name="one_speaker", train=only_one)),
        few_labels("labels", base, LABELS_PER_DIGIT, fsdd.digit, seed=seed),
        leave_one_out("loso", utterances),
        leave_one_out("inner", base.train),
        leaky_control("leaky", utterances, NUM_LEAKY_FOLDS, seed=seed),
    )
    for partition in found:
        labelled = with_classes(partition, "digit", fsdd.digit, "0123456789")
        yield replace(labelled, labels={**labelled.labels, "wrd": lambda u: u.transcript or ""})
