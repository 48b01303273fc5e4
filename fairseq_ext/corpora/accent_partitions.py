"""The partitions of a corpus of accents, chosen by name, with the streams `accent` and `sentence`.

`all`                            every usable utterance once, as `test`, with all label streams: to embed once
`unseen_speakers/foldNN`         one speaker of each accent is tested, each speaker once, in folds with about as many of
                                 each gender; of accents with four speakers or more another one validates
`unseen_speakers_and_sentence/foldNN_partK`
                                 the same folds, tested on sentences that nobody says in training, too: each half of the
                                 sentences is tested once
`leaky/N`                        random folds that share speakers: a control, never a result

Where an accent has more speakers than there are folds, several are tested together; where it has fewer, some folds test
none of it. Accents of one speaker are in `all` only: their accent cannot be told from the voice.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from ..splits import by_speaker, random_rank
from ..text.published import Report
from .accent_corpora import several_speakers
from .balanced_folds import balanced_folds
from .partitions import Partition, leaky_control, with_classes
from .speech_corpora import SpeechCorpus, gender, unseen_sentences

CHOICES = ("unseen_speakers", "unseen_speakers_and_sentence", "leaky")
NUM_LEAKY_FOLDS = 5
_SENTENCES = "unseen_speakers_and_sentence"
# Corpora of many speakers: enough folds for an interval, few enough to train.
MOST_FOLDS = 8
# With fewer speakers of an accent, one for validation would leave one or none to train on beside the tested one.
_FEWEST_TO_VALIDATE = 4
_FEWEST_TO_TRAIN = 2


def usual(corpus: SpeechCorpus) -> list[str]:
    """Return the partitions that a corpus allows: without speakers the leaky one only."""
    if not corpus.speakers_known:
        return ["leaky"]
    told = corpus.streams.get("sentence")
    has_sentences = told is not None and len(set(map(told, corpus.utterances))) > 1
    return ["unseen_speakers", *(["unseen_speakers_and_sentence"] if has_sentences else []), "leaky"]


def partitions(
    corpus: SpeechCorpus,
    chosen: Sequence[str],
    *,
    num_folds: int | None = None,
    seed: int = 1,
    on_problem: Report,
) -> Iterator[Partition]:
    """Make the chosen partitions; each dictionary has all accents of the folds, so that folds can be pooled.

    Args:
        chosen: names in `CHOICES`.
        num_folds: folds of speakers; None takes as many as the accent with most speakers has, at most `MOST_FOLDS`.
        seed: seed of the folds.
        on_problem: receives a line for each accent that is in no fold.

    Raises:
        ValueError: the corpus lacks what a partition needs.
    """
    if {"unseen_speakers", "unseen_speakers_and_sentence"} & set(chosen):
        corpus = several_speakers(corpus, on_problem)
    makers: Mapping[str, Callable[[], Iterable[Partition]]] = {
        "unseen_speakers": lambda: _unseen_speakers(corpus, "unseen_speakers", num_folds, seed),
        "unseen_speakers_and_sentence": lambda: unseen_sentences(
            corpus, _SENTENCES, _unseen_speakers(corpus, _SENTENCES, num_folds, seed)
        ),
        "leaky": lambda: leaky_control("leaky", corpus.utterances, NUM_LEAKY_FOLDS, seed=seed),
    }
    # Beside the accent, so that pairs of one sentence can be told from pairs of two; without a dictionary, since nobody
    # learns sentences.
    told = {"sentence": corpus.streams["sentence"]} if "sentence" in corpus.streams else {}
    for partition in chain.from_iterable(makers[name]() for name in chosen):
        made = with_classes(partition, corpus.stream, corpus.label, corpus.classes)
        yield replace(made, labels={**made.labels, **told})


def _unseen_speakers(
    corpus: SpeechCorpus, family: str, num_folds: int | None, seed: int
) -> Iterator[Partition]:
    most = max(map(len, _speakers_by_accent(corpus).values()))
    if num_folds is not None and num_folds > most:
        raise ValueError(
            f"{family}: no accent has {num_folds} speakers, the most are {most}; choose fewer folds"
        )
    count = num_folds or min(MOST_FOLDS, most)
    folds = list(balanced_folds(family, corpus.utterances, count, strata=[corpus.label, gender], seed=seed))
    for number, fold in enumerate(folds):
        held_out = _who_validates(corpus, folds, number, seed)
        yield replace(
            fold,
            train=[u for u in fold.train if u.speaker not in held_out],
            valid=[u for u in fold.train if u.speaker in held_out],
        )


def _speakers_by_accent(corpus: SpeechCorpus) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for speaker, own in by_speaker(corpus.utterances).items():
        found[corpus.label(own[0])].append(speaker)
    return found


def _who_validates(corpus: SpeechCorpus, folds: Sequence[Partition], number: int, seed: int) -> set[str]:
    """Return one training speaker of each accent that has enough: of those whom the next fold tests, which balances.

    Folds that test none of an accent are passed over.
    """
    chosen = set()
    for speakers in _speakers_by_accent(corpus).values():
        tested = {u.speaker for u in folds[number].test}
        if len(speakers) < _FEWEST_TO_VALIDATE or len(set(speakers) - tested) <= _FEWEST_TO_TRAIN:
            continue
        for step in range(1, len(folds)):
            following = {u.speaker for u in folds[(number + step) % len(folds)].test} & set(speakers)
            if following:
                chosen.add(min(following, key=lambda s: random_rank(s or "", seed)) or "")
                break
    return chosen
