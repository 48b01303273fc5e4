"""Labels and published transcripts together: who trains, who is tested, and who wrote what.

Automatic labels train only. A clip whose speaker or video is held out by a transcript of valid or test does not train
at all, whoever wrote its text.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..corpora.clip_layout import audio_path
from ..manifest import Utterance
from ..media.mouth.table import ClipRow
from ..splits import assert_disjoint
from ..text.normalize import normalize
from .filters import FilterSettings, judge
from .table import ClipLabel
from .videos import video_of
from .vote import Vote, vote

HUMAN = "human"
SIDES = ("train", "valid", "test")


@dataclass(frozen=True)
class MergeSettings:
    """What goes into the manifests.

    Attributes:
        languages: codes that are wanted.
        filters: which automatic labels to trust.
        case: of the transcripts, "lower" or "upper".
        keep_apostrophes: False writes `locéan`, as the published lists of mTEDx do, on both sides alike.
    """

    languages: tuple[str, ...]
    filters: FilterSettings = field(default_factory=FilterSettings)
    case: str = "lower"
    keep_apostrophes: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A clip with its text.

    Attributes:
        utterance: with normalised transcript, language, speaker and split.
        source: who wrote the text: `HUMAN`, or the model's name.
        video: that the clip was cut from.
    """

    utterance: Utterance
    source: str
    video: str


@dataclass
class Merged:
    """What became of the clips.

    Attributes:
        rows: those with a text, in the order of the clips.
        rejected: (language or "", reason) -> clips.
    """

    rows: list[Row] = field(default_factory=list)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)

    def side(self, name: str, languages: Iterable[str]) -> list[Row]:
        """Picks rows.

        Args:
            name: of `SIDES`.
            languages: codes.

        Returns:
            The rows of that side and those languages.
        """
        wanted = frozenset(languages)
        return [r for r in self.rows if r.utterance.split == name and r.utterance.language in wanted]


def merge(
    clips: Iterable[ClipRow],
    labels: Sequence[ClipLabel],
    published: Mapping[str, Utterance],
    settings: MergeSettings,
) -> Merged:
    """Gives every clip a text, or a reason for having none.

    Args:
        clips: with status ok.
        labels: the table; none when there are only published transcripts.
        published: clip's id -> what its corpus says of it: split, speaker, language, transcript. Its transcripts are
            taken as written by people.
        settings: see `MergeSettings`.

    Returns:
        Rows and counted rejections.

    Raises:
        ValueError: for an automatic label outside of train, or a speaker or video on two sides.
    """
    votes, by_id = vote(labels), {label.id: label for label in labels}
    merged = Merged()
    for clip in clips:
        known = published.get(clip.id)
        if known is not None and known.transcript:
            found = _published(clip, known, settings)
        else:
            found = _automatic(clip, known, by_id.get(clip.id), votes, settings)
        if isinstance(found, Row):
            merged.rows.append(found)
        else:
            merged.rejected[found] += 1
    _leave_out_held_out(merged)
    check(merged.rows)
    return merged


def _published(clip: ClipRow, known: Utterance, settings: MergeSettings) -> Row | tuple[str, str]:
    language = known.language or ""
    if language not in settings.languages:
        return language, "other_language"
    text = normal(known.transcript or "", language, settings)
    if not text:
        return language, "empty_transcript"
    return _row(clip, known, text, language, known.split or "train", HUMAN)


def _automatic(
    clip: ClipRow,
    known: Utterance | None,
    label: ClipLabel | None,
    votes: Mapping[str, Vote],
    settings: MergeSettings,
) -> Row | tuple[str, str]:
    if label is None:
        return "", "no_label"
    if label.language and label.language not in settings.languages:
        return label.language, "other_language"
    if known is not None and known.split in {"valid", "test"}:
        return label.language, "held_out"
    if reason := judge(label, votes.get(label.video), settings.filters):
        return label.language, reason
    text = normal(label.text, label.language, settings)
    return _row(clip, known, text, label.language, "train", label.model)


def normal(text: str, language: str, settings: MergeSettings) -> str:
    """Spells a text as all others of its language.

    Args:
        text: as written.
        language: its code.
        settings: case and apostrophes.

    Returns:
        Words with single spaces.
    """
    found = normalize(text, language, case=settings.case)
    return found if settings.keep_apostrophes else found.replace("'", "")


def _row(clip: ClipRow, known: Utterance | None, text: str, language: str, side: str, source: str) -> Row:
    video = video_of(clip.id, clip.source)
    own = known or Utterance(clip.id, "", 0)
    utterance = replace(
        own,
        id=clip.id,
        path=audio_path(clip.id),
        num_samples=clip.num_samples,
        num_frames=clip.num_frames,
        transcript=text,
        language=language,
        split=side,
        speaker=own.speaker or video,
        start_s=None,  # the clip is a file of its own
        end_s=None,
    )
    return Row(utterance, source, video)


def _leave_out_held_out(merged: Merged) -> None:
    """Valid and test come first: who is in test is not in valid, who is in either is not in train."""
    for side, above in (("valid", ("test",)), ("train", ("valid", "test"))):
        held = [r for r in merged.rows if r.utterance.split in above]
        speakers, videos = {r.utterance.speaker for r in held}, {r.video for r in held}
        kept = []
        for row in merged.rows:
            u = row.utterance
            if u.split == side and (u.speaker in speakers or row.video in videos):
                merged.rejected[u.language or "", "held_out"] += 1
            else:
                kept.append(row)
        merged.rows = kept


def check(rows: Iterable[Row]) -> None:
    """Makes sure of what results rest on.

    Args:
        rows: of all sides.

    Raises:
        ValueError: for an automatic label outside of train, a side of another name, or a speaker or video on two.
    """
    sides: dict[str, list[Row]] = {name: [] for name in SIDES}
    for row in rows:
        split = row.utterance.split or ""
        if split not in sides:
            raise ValueError(
                f"clip {row.utterance.id}: a split of {SIDES} expected, found {split!r}; mend it"
            )
        if split != "train" and row.source != HUMAN:
            raise ValueError(
                f"clip {row.utterance.id}: a transcript written by people expected in {split}, found a label of "
                f"{row.source}, and a score against a machine's mistakes is none; use it for train"
            )
        sides[split].append(row)
    assert_disjoint({name: _speakers(own) for name, own in sides.items()})
    assert_disjoint({name: (f"of video {row.video}" for row in own) for name, own in sides.items()})


def _speakers(rows: Iterable[Row]) -> Iterator[str | None]:
    return (row.utterance.speaker for row in rows)
