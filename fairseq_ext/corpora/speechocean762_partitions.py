"""The partitions of speechocean762, named as those of Common Voice.

`asr`          all labels: train without the sentences of valid and test; valid: a tenth of the published training
               speakers of each gender, by a draw; test: the published test speakers.
`asr_10min`    the same with so much labelled speech, spread over the training speakers.
`ssl`          all speech of the training speakers without labels; valid: that of the speakers of valid.

For the verification of speakers (`verification`), with all they say:

`speakers`         train: the published training speakers; test: the published test speakers.
`speakers_tuning`  the training speakers alone, three tenths of each gender held out for valid, by a draw: what is
                   chosen is chosen here, since a tenth of 67 speakers makes too few pairs.
"""

from collections.abc import Iterator, Mapping, Sequence

from ..manifest import Utterance
from ..splits import by_speaker, draw_speakers
from ..text.published import Report
from ..text.spelling import Spelling
from .partitions import Partition, divide
from .recognition_partitions import recognition, with_few_labels
from .speechocean762 import SAMPLE_RATE_HZ

VALID_SHARE = 0.1
TUNING_SHARE = 0.3


def sides(
    utterances: Sequence[Utterance], *, seed: int, valid_share: float = VALID_SHARE
) -> Mapping[str, str]:
    """Return speaker -> "train", "valid" or "test"; the test is the published one, valid is drawn from the rest."""
    split = {speaker: own[0].split for speaker, own in by_speaker(utterances).items()}
    training = [u for u in utterances if split[u.speaker or ""] != "test"]
    # A gender with a speaker or two stays in the training.
    valid = draw_speakers(training, valid_share, stratum=lambda u: u.gender or "", seed=seed)
    return {
        speaker: "test" if of == "test" else "valid" if speaker in valid else "train"
        for speaker, of in split.items()
    }


def partitions(
    utterances: Sequence[Utterance],
    *,
    minutes: Sequence[float] = (10,),
    seed: int = 1,
    case: str = "lower",
    keep_shared_sentences: bool = False,
    note: Report,
    problem: Report,
) -> Iterator[Partition]:
    """Make the partitions of the module's list, from one reading of the corpus.

    Args:
        minutes: minutes of labelled speech, one small set each.
        seed: seed of the speakers of valid and of the small sets.
        case: case of the transcripts, "lower" or "upper".
        keep_shared_sentences: train on sentences that are also in valid or test.
        note: receives a line for whatever was left out, and why.
        problem: receives a line for each utterance whose sentence cannot be spelled.

    Raises:
        ValueError: there is no utterance to train on.
    """
    side = sides(utterances, seed=seed)
    divided = divide(utterances, lambda u: side[u.speaker or ""])
    base = recognition(
        divided,
        Spelling("en", case),
        keep_shared_sentences=keep_shared_sentences,
        advice="unpack the corpus again",
        note=note,
        problem=problem,
    )
    yield from with_few_labels(base, minutes, sample_rate_hz=SAMPLE_RATE_HZ, seed=seed, note=note)
    yield Partition("ssl", divided["train"], valid=divided["valid"])


def verification(utterances: Sequence[Utterance], *, seed: int = 1) -> Iterator[Partition]:
    """Make the partitions for the verification of speakers, of the module's list."""
    side = sides(utterances, seed=seed, valid_share=TUNING_SHARE)
    divided = divide(utterances, lambda u: side[u.speaker or ""])
    training = [u for u in utterances if side[u.speaker or ""] != "test"]
    yield Partition("speakers", training, test=divided["test"])
    yield Partition("speakers_tuning", divided["train"], valid=divided["valid"])
