"""Vote on one language per video: all its clips together are more reliable than one short clip."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .table import LABELLED, OTHER_LANGUAGE, ClipLabel

# Probability of a language that is not among a clip's likeliest: high enough that no clip can veto alone.
MIN_PROBABILITY = 1e-2
SURE = 0.8  # probability from which a clip's own language counts more than its video's


@dataclass(frozen=True, slots=True)
class Vote:
    """The vote of a video's clips.

    Attributes:
        language: language with the highest sum of ln p over the clips.
        share: share of the clips whose likeliest language this is.
        num_clips: number of clips with speech.
    """

    language: str
    share: float
    num_clips: int


def vote(labels: Iterable[ClipLabel]) -> dict[str, Vote]:
    """Choose the language of each video by the sum of its clips' ln p; videos without speech are missing."""
    ballots: dict[str, list[dict[str, float]]] = defaultdict(list)
    for label in labels:
        if label.state in {LABELLED, OTHER_LANGUAGE} and (found := label.language_probabilities()):
            ballots[label.video].append(found)
    return {video: _count(rows) for video, rows in ballots.items()}


def _count(rows: list[dict[str, float]]) -> Vote:
    codes = sorted({code for row in rows for code in row})
    sums = {
        code: math.fsum(math.log(max(row.get(code, 0.0), MIN_PROBABILITY)) for row in rows) for code in codes
    }
    best = max(codes, key=lambda code: sums[code])
    agreeing = sum(likeliest(row) == best for row in rows)
    return Vote(best, agreeing / len(rows), len(rows))


def likeliest(found: Mapping[str, float]) -> str:
    """Return the language with the highest probability."""
    return max(found, key=lambda code: found[code])


def is_other(label: ClipLabel, of_video: Vote, *, sure: float = SURE) -> bool:
    """Return whether a clip is surely in another language than its video: a guest, a quotation, an interpreter.

    It is when its likeliest language is another one, with the probability `sure` or more.
    """
    found = label.language_probabilities()
    own = likeliest(found) if found else of_video.language
    return own != of_video.language and found[own] >= sure


def to_decode_again(
    labels: Iterable[ClipLabel], votes: Mapping[str, Vote], languages: Iterable[str], *, sure: float = SURE
) -> list[tuple[ClipLabel, str]]:
    """Find the clips, in the order of the table, that were not decoded in their video's language, and this language.

    Those that are surely in another one are left out.
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
