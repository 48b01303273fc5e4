"""The corpora of accents."""

from collections import Counter
from dataclasses import replace

from ..text.published import Report
from . import l2_arctic
from .speech_corpora import Family, SpeechCorpus

ACCENTS = Family("accent", {"l2_arctic": l2_arctic})


def with_sentences(corpus: SpeechCorpus) -> SpeechCorpus:
    """Return the corpus with the stream `sentence`: what is said, where that is known of every recording."""
    if "sentence" in corpus.streams or not all(u.transcript for u in corpus.utterances):
        return corpus
    return replace(corpus, streams={**corpus.streams, "sentence": lambda u: u.transcript or ""})


def several_speakers(corpus: SpeechCorpus, on_problem: Report) -> SpeechCorpus:
    """Leave out the accents of one speaker, whose accent cannot be told from the voice.

    Raises:
        ValueError: a speaker has two accents, or fewer than two accents are left.
    """
    accent_of: dict[str, str] = {}
    for utterance in corpus.utterances:
        speaker, own = utterance.speaker or "", corpus.label(utterance)
        if accent_of.setdefault(speaker, own) != own:
            raise ValueError(
                f"{corpus.root}: speaker {speaker} has the accents {accent_of[speaker]} and {own}; one expected, give "
                "people of one name different names"
            )
    counts = Counter(accent_of.values())
    for accent in sorted(name for name, count in counts.items() if count == 1):
        number = sum(corpus.label(u) == accent for u in corpus.utterances)
        on_problem(
            f"{corpus.name}: {accent}: one speaker only, who cannot be tested and trained on; its {number} recordings "
            "are in no fold"
        )
    if sum(count > 1 for count in counts.values()) < 2:
        raise ValueError(
            f"{corpus.root}: 2 accents of 2 speakers or more are needed to test unseen speakers, found {dict(counts)}; "
            "record more speakers, or write only the leaky control (--partitions leaky), which says nothing of others"
        )
    return replace(corpus, utterances=[u for u in corpus.utterances if counts[corpus.label(u)] > 1])
