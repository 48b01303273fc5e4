"""The partitions of a corpus of emotional speech, chosen by name, with the stream `emotion`.

`all`                            every usable utterance once, as `test`, with all label streams: to embed once
`unseen_speakers/foldNN`         each speaker is tested once, in folds with as many of each gender; some speakers of the
                                 training validate
`unseen_speakers_and_sentence/foldNN_partK`
                                 the same folds, tested on sentences that nobody says in training, too: each half of the
                                 sentences is tested once
`sessions/SESSION`               each session is tested once; one speaker of the others validates
`leaky/N`                        random folds that share speakers: a control, never a result
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from .balanced_folds import balanced_folds, with_valid_speakers
from .partitions import Partition, leaky_control, leave_one_out, with_classes
from .speech_corpora import SpeechCorpus, gender, unseen_sentences

CHOICES = ("unseen_speakers", "unseen_speakers_and_sentence", "sessions", "leaky")
NUM_LEAKY_FOLDS = 5
_SENTENCES = "unseen_speakers_and_sentence"


def usual(corpus: SpeechCorpus) -> list[str]:
    """Return the partitions that a corpus allows: by session where it has sessions, else by speaker; leaky always."""
    if not corpus.speakers_known:
        return ["leaky"]
    chosen = ["sessions" if "session" in corpus.streams else "unseen_speakers"]
    if "sentence" in corpus.streams and "session" not in corpus.streams:
        chosen.append("unseen_speakers_and_sentence")
    return [*chosen, "leaky"]


def partitions(
    corpus: SpeechCorpus, chosen: Sequence[str], *, num_folds: int | None = None, seed: int = 1
) -> Iterator[Partition]:
    """Make the chosen partitions; each dictionary has all classes of the corpus, so that folds can be pooled.

    Args:
        chosen: names in `CHOICES`.
        num_folds: folds of speakers; None takes the corpus's own number.
        seed: seed of the folds and of the speakers who validate.

    Raises:
        ValueError: the corpus lacks what a partition needs.
    """
    folds = num_folds or corpus.num_folds
    makers: Mapping[str, Callable[[], Iterable[Partition]]] = {
        "unseen_speakers": lambda: _unseen_speakers(corpus, "unseen_speakers", folds, seed),
        "unseen_speakers_and_sentence": lambda: unseen_sentences(
            corpus, _SENTENCES, _unseen_speakers(corpus, _SENTENCES, folds, seed)
        ),
        "sessions": lambda: _sessions(corpus, seed),
        "leaky": lambda: leaky_control("leaky", corpus.utterances, NUM_LEAKY_FOLDS, seed=seed),
    }
    for partition in chain.from_iterable(makers[name]() for name in chosen):
        yield with_classes(partition, corpus.stream, corpus.label, corpus.classes)


def _unseen_speakers(corpus: SpeechCorpus, family: str, num_folds: int, seed: int) -> Iterator[Partition]:
    for fold in balanced_folds(family, corpus.utterances, num_folds, strata=[gender], seed=seed):
        yield with_valid_speakers(fold, stratum=gender, seed=seed)


def _sessions(corpus: SpeechCorpus, seed: int) -> Iterator[Partition]:
    if "session" not in corpus.streams:
        raise ValueError(
            f"sessions: those of {corpus.name} are not known; say where they are (--group), or leave this partition out"
        )
    for fold in leave_one_out("sessions", corpus.utterances, group=corpus.streams["session"]):
        yield with_valid_speakers(fold, seed=seed)
