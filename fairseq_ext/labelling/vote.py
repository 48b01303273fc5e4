"""One language per video: its clips tell more together than a short one alone."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .table import LABELLED, OTHER_LANGUAGE, ClipLabel

# Of a language that is not among a clip's likeliest. No clip may veto alone, however sure it is.
FLOOR = 1e-2
SURE = 0.8  # probability from which a clip is taken at its own word


@dataclass(frozen=True, slots=True)
class Vote:
    """What the clips of a video say.

    Attributes:
        language: of the highest sum of ln p.
        share: of the clips, of those whose likeliest language it is.
        num_clips: with speech.
    """

    language: str
    share: float
    num_clips: int


def vote(labels: Iterable[ClipLabel]) -> dict[str, Vote]:
    """Lets the clips of every video vote by their ln p of each language.

    Args:
        labels: the table.

    Returns:
        Video -> vote; videos without speech have none.
    """
    ballots: dict[str, list[dict[str, float]]] = defaultdict(list)
    for label in labels:
        if label.state in {LABELLED, OTHER_LANGUAGE} and (found := label.language_probabilities()):
            ballots[label.video].append(found)
    return {video: _count(rows) for video, rows in ballots.items()}


def _count(rows: list[dict[str, float]]) -> Vote:
    codes = sorted({code for row in rows for code in row})
    sums = {code: math.fsum(math.log(max(row.get(code, 0.0), FLOOR)) for row in rows) for code in codes}
    best = max(codes, key=lambda code: sums[code])
    agreeing = sum(likeliest(row) == best for row in rows)
    return Vote(best, agreeing / len(rows), len(rows))


def likeliest(found: Mapping[str, float]) -> str:
    """The language of the highest probability.

    Args:
        found: language -> probability, one at least.

    Returns:
        Its code.
    """
    return max(found, key=lambda code: found[code])


def is_other(label: ClipLabel, of_video: Vote, *, sure: float = SURE) -> bool:
    """Whether a clip is surely in another language than its video: a guest, a quotation, an interpreter.

    Args:
        label: with languages.
        of_video: the vote of its video.
        sure: probability from which a clip is taken at its own word.

    Returns:
        True then.
    """
    found = label.language_probabilities()
    own = likeliest(found) if found else of_video.language
    return own != of_video.language and found[own] >= sure


def to_decode_again(
    labels: Iterable[ClipLabel], votes: Mapping[str, Vote], languages: Iterable[str], *, sure: float = SURE
) -> list[tuple[ClipLabel, str]]:
    """Finds the clips that were decoded in another language than their video's, or not at all, for want of context.

    Args:
        labels: the table after the first decoding.
        votes: of `vote`.
        languages: that are wanted.
        sure: see `is_other`; those clips are left alone.

    Returns:
        (clip, language of its video), in the order of the table.
    """
    wanted, found = frozenset(languages), []
    for label in labels:
        of_video = votes.get(label.video)
        if label.state not in {LABELLED, OTHER_LANGUAGE} or of_video is None:
            continue
        decoded = label.language if label.state == LABELLED else None
        if (
            of_video.language in wanted
            and of_video.language != decoded
            and not is_other(label, of_video, sure=sure)
        ):
            found.append((label, of_video.language))
    return found
