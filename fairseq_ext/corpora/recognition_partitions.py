"""Partitions of transcribed speech, for any corpus: `asr`, and `asr_10min` and the like with few labels.

Texts are spelled once, by the rules of the language: streams `ltr` (characters, `|` after words) and `wrd`. What cannot
be spelled, and the training utterances whose sentence or speaker is held out, are left out, counted and noted.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..manifest import Utterance
from ..splits import Key
from ..text.normalize import unread
from ..text.published import Report
from ..text.spelling import Spelling
from ..text.units import count_units, to_characters
from .partitions import Partition, few_labelled_minutes, short_duration


@dataclass(frozen=True)
class Overlap:
    """The speakers and sentences that one side shares with another.

    Attributes:
        num_speakers: speakers in both.
        num_sentences: different sentences in both.
        num_utterances: utterances of the first side with a speaker or sentence of the second.
    """

    num_speakers: int
    num_sentences: int
    num_utterances: int


def overlap(
    first: Sequence[Utterance], second: Sequence[Utterance], text: Callable[[Utterance], str]
) -> Overlap:
    """Count shared speakers and sentences; `text` gives the sentence, normalised, so that spelling hides nothing."""
    speakers, sentences = {u.speaker for u in second}, {text(u) for u in second}
    return Overlap(
        num_speakers=len(speakers & {u.speaker for u in first}),
        num_sentences=len(sentences & {text(u) for u in first}),
        num_utterances=sum(u.speaker in speakers or text(u) in sentences for u in first),
    )


def without_overlap(
    utterances: Iterable[Utterance], held_out: Sequence[Utterance], text: Callable[[Utterance], str]
) -> list[Utterance]:
    """Return the utterances that share no speaker and no sentence (see `overlap`) with the held-out side, in order."""
    speakers, sentences = {u.speaker for u in held_out}, {text(u) for u in held_out}
    return [u for u in utterances if u.speaker not in speakers and text(u) not in sentences]


def recognition(
    sides: Mapping[str, Sequence[Utterance]],
    spelling: Spelling,
    *,
    keep_shared_sentences: bool = False,
    advice: str,
    note: Report,
    problem: Report,
) -> Partition:
    """Make the partition `asr`.

    Args:
        sides: "train", "valid" and "test" -> transcribed utterances.
        spelling: how the transcripts are spelled.
        keep_shared_sentences: train on sentences that are also in valid or test.
        advice: what the user can do where no utterance is left to train on.
        note: receives a line for whatever was left out, and why.
        problem: receives a line for each utterance whose sentence cannot be spelled.

    Raises:
        ValueError: there is no utterance to train on.
    """
    text, kept = _Texts(spelling), dict[str, list[Utterance]]()
    for side, found in sides.items():
        members = _spelled(found, spelling.language, problem)
        if unspelled := len(found) - len(members):
            note(
                f"asr: {unspelled} clips of {side} have digits, signs or letters that the rules of "
                f"{spelling.language!r} cannot read, and are left out"
            )
        kept[side] = [u for u in members if text(u)]
        if missing := len(members) - len(kept[side]):
            note(f"asr: {missing} clips of {side} have no letter in their transcript and are left out")
    if not kept["train"]:
        raise ValueError(f"asr: no clip to train on; see above what was left out, or {advice}")
    valid, test = kept["valid"], kept["test"]
    train = _without_overlap(kept["train"], [*valid, *test], text, keep_shared_sentences, note)
    if not train:
        raise ValueError(
            f"asr: every clip to train on shares its speaker or sentence with valid and test; {advice}, or keep shared "
            "sentences (--keep-shared-sentences)"
        )
    dictionary = count_units(to_characters(text(u)) for u in train)
    labels: dict[str, Key] = {"ltr": text.characters, "wrd": text}
    return Partition(
        "asr", train, valid, test, labels=labels, dictionaries={"ltr": dictionary}, spelling=spelling
    )


def with_few_labels(
    base: Partition, minutes: Iterable[float], *, sample_rate_hz: int, seed: int, note: Report
) -> Iterator[Partition]:
    """Yield a partition, and then a smaller one for each number of minutes of labelled speech that it has."""
    yield base
    for amount in sorted(minutes):
        few = few_labelled_minutes(base, amount, sample_rate_hz=sample_rate_hz, seed=seed)
        if few:
            yield few
        else:
            total = sum(u.num_samples for u in base.train) / sample_rate_hz / 60
            note(
                f"{base.name}_{short_duration(amount)}: {base.name} has only {total:.1f} minutes, so it is left out"
            )


class _Texts:
    """Normalised transcripts, each computed once."""

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling
        self._known: dict[str, str] = {}

    def __call__(self, utterance: Utterance) -> str:
        text = self._known.get(utterance.id)
        if text is None:
            text = self._known[utterance.id] = self._spelling(utterance.transcript or "")
        return text

    def characters(self, utterance: Utterance) -> str:
        """Return the line of stream `ltr`."""
        return " ".join(to_characters(self(utterance)))


def _spelled(clips: Iterable[Utterance], language: str, problem: Report) -> list[Utterance]:
    """Return the clips whose sentence the normaliser can spell."""
    kept = []
    for clip in clips:
        if signs := unread(clip.transcript or "", language):
            problem(
                f"{clip.id}: the rules of {language!r} cannot read {' '.join(signs)} in {clip.transcript!r}; left out "
                "of asr"
            )
        else:
            kept.append(clip)
    return kept


def _without_overlap(
    train: list[Utterance],
    held_out: list[Utterance],
    text: _Texts,
    keep_shared_sentences: bool,
    note: Report,
) -> list[Utterance]:
    shared = overlap(train, held_out, text)
    # No two clips share an id, so that with ids as texts only speakers count.
    kept = without_overlap(train, held_out, (lambda u: u.id) if keep_shared_sentences else text)
    note(
        f"asr: train shares {shared.num_speakers} speakers and {shared.num_sentences} sentences with valid and test; "
        f"{len(train) - len(kept)} clips are left out"
    )
    return kept
