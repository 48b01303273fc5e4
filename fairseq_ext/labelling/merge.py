"""Merge automatic labels and published transcripts: which clips are in train, valid and test, and with which text.

Automatic labels are for train only. A clip whose speaker or video is in valid or test is left out of train, whether
people or a model wrote its text.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..corpora.clip_layout import audio_path
from ..manifest import SPLITS, Utterance
from ..media.mouth.table import ClipRow
from ..splits import assert_disjoint
from ..text.normalize import check_choice, is_spelled, normalize
from ..text.spelling import Spelling
from .engine import SAMPLE_RATE_HZ
from .filters import FilterSettings, judge
from .repetition import written_once
from .signals import without_foreign_letters
from .table import ClipLabel
from .videos import video_of
from .vote import Vote, vote

HUMAN = "human"
_HELD_OUT = frozenset({"valid", "test"})
_TIMES_S = 0.04  # a picture at 25 Hz: clips are whole pictures long


@dataclass(frozen=True)
class MergeSettings:
    """Which clips of which languages go into the manifests, and how their texts are spelled.

    Attributes:
        filters: which automatic labels to trust.
        case: case of the transcripts, "lower" or "upper".
        keep_apostrophes: False writes `locéan`, as the published lists of mTEDx do, in labels and transcripts alike.
        keep_damaged: keep clips whose file is cut off or damaged, by the columns missing_s and num_bad_packets.
    """

    languages: tuple[str, ...]
    filters: FilterSettings = field(default_factory=FilterSettings)
    case: str = "lower"
    keep_apostrophes: bool = True
    keep_damaged: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for what is no language code, or an unknown case."""
        for code in self.languages:
            check_choice(code, self.case)


@dataclass(frozen=True, slots=True)
class TranscribedClip:
    """A clip with its normalised transcript, language, speaker and split.

    `source` is who wrote the text: `HUMAN`, or the model's name; `video` is what it was cut from. `was_repeated`: the
    model wrote the text more than once, see `repetition`.
    """

    utterance: Utterance
    source: str
    video: str
    was_repeated: bool = False


@dataclass
class Merged:
    """The result of a merge.

    Attributes:
        clips: clips with a text, in the order of the clips that were merged.
        rejected: (language or "", reason) -> number of clips.
        spelling: how the texts are spelled, each by the rules of its own language.
        without_text: rejected clips that may be pre-trained on: undamaged, with sound, of nobody in valid or test;
            their texts are empty.
    """

    clips: list[TranscribedClip] = field(default_factory=list)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    spelling: Spelling = field(default_factory=lambda: Spelling(""))
    without_text: list[TranscribedClip] = field(default_factory=list)

    @property
    def num_repeated(self) -> int:
        """Number of clips whose text repeated a phrase that is kept once."""
        return sum(clip.was_repeated for clip in self.clips)

    def select(self, split: str, languages: Iterable[str]) -> list[TranscribedClip]:
        """Return the clips of a split in some languages."""
        wanted = frozenset(languages)
        return [c for c in self.clips if c.utterance.split == split and c.utterance.language in wanted]


def merge(
    clips: Iterable[ClipRow],
    labels: Sequence[ClipLabel],
    published: Mapping[str, Utterance],
    settings: MergeSettings,
) -> Merged:
    """Give each clip with status ok a text, or reject it with a reason.

    Args:
        labels: rows of labels.tsv; empty when there are only published transcripts.
        published: id of a clip -> its split, speaker, language and transcript as published. These transcripts count
            as written by people.

    Raises:
        ValueError: for an automatic label outside of train, or a speaker or video in two splits.
    """
    votes, by_id = vote(labels), {label.id: label for label in labels}
    merged = Merged(spelling=Spelling("", settings.case, apostrophes=settings.keep_apostrophes))
    for clip in clips:
        known, label = published.get(clip.id), by_id.get(clip.id)
        found: TranscribedClip | tuple[str, str]
        if clip.is_damaged and not settings.keep_damaged:
            found = (known and known.language) or (label.language if label else ""), "damaged"
        elif known is not None and known.transcript:
            found = _published(clip, known, settings)
        else:
            found = _automatic(clip, known, label, votes, settings)
        if isinstance(found, TranscribedClip):
            merged.clips.append(found)
        else:
            merged.rejected[found] += 1
            has_sound = clip.audio in {"ok", ""}  # pre-training predicts clusters of it
            if found[1] != "damaged" and has_sound and (known is None or known.split not in _HELD_OUT):
                merged.without_text.append(_transcribed(clip, known, "", found[0], "train", ""))
    _leave_out_held_out(merged)
    check(merged.clips)
    return merged


def _published(clip: ClipRow, known: Utterance, settings: MergeSettings) -> TranscribedClip | tuple[str, str]:
    language = known.language or ""
    if language not in settings.languages:
        return language, "other_language"
    if _differ((clip.start_s, clip.end_s), (known.start_s, known.end_s)):
        return language, "other_times"
    text = normal(known.transcript or "", language, settings)
    if not text:
        return language, "empty_transcript"
    if not is_spelled(known.transcript or "", language):
        return language, "unread"
    return _transcribed(clip, known, text, language, known.split or "train", HUMAN)


def _differ(first: Sequence[float | None], second: Sequence[float | None]) -> bool:
    """Return whether a clip was cut at other times; None is unknown, or the edge of a file."""
    return any(
        a is not None and b is not None and abs(a - b) > _TIMES_S for a, b in zip(first, second, strict=True)
    )


def _automatic(
    clip: ClipRow,
    known: Utterance | None,
    label: ClipLabel | None,
    votes: Mapping[str, Vote],
    settings: MergeSettings,
) -> TranscribedClip | tuple[str, str]:
    if label is None:
        return "", "no_label"
    if label.language and label.language not in settings.languages:
        return label.language, "other_language"
    if known is not None and known.split in _HELD_OUT:
        return label.language, "held_out"
    once = written_once(label, settings.filters.max_repeated_per_second)
    was_repeated, label = once is not label, once
    if reason := judge(label, votes.get(label.video), settings.filters):
        return label.language, reason
    if _differ([clip.num_samples / SAMPLE_RATE_HZ], [label.duration_s]):
        return label.language, "other_times"
    # Letters of other scripts are the filters' matter.
    if not is_spelled(without_foreign_letters(label.text, label.language), label.language):
        return label.language, "unread"
    text = normal(label.text, label.language, settings)
    found = _transcribed(clip, known, text, label.language, "train", label.model)
    return replace(found, was_repeated=was_repeated)


def normal(text: str, language: str, settings: MergeSettings) -> str:
    """Normalise a text to words with single spaces, in the case of the settings."""
    found = normalize(text, language, case=settings.case)
    return found if settings.keep_apostrophes else found.replace("'", "")


def _transcribed(
    clip: ClipRow, known: Utterance | None, text: str, language: str, split: str, source: str
) -> TranscribedClip:
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
        split=split,
        speaker=own.speaker or video,
        start_s=None,  # the clip is a file of its own
        end_s=None,
    )
    return TranscribedClip(utterance, source, video)


def _leave_out_held_out(merged: Merged) -> None:
    """Remove from valid who is in test, and from train who is in valid or test."""
    # valid first: train makes room only for what is left in it.
    for split, above in (("valid", ("test",)), ("train", ("valid", "test"))):
        held = [clip for clip in merged.clips if clip.utterance.split in above]
        speakers, videos = {clip.utterance.speaker for clip in held}, {clip.video for clip in held}
        kept = []
        for clip in merged.clips:
            u = clip.utterance
            if u.split == split and (u.speaker in speakers or clip.video in videos):
                merged.rejected[u.language or "", "held_out"] += 1
            else:
                kept.append(clip)
        merged.clips = kept
    # The speakers and videos of valid and test: those of the last turn. They have been counted under another reason.
    merged.without_text = [
        clip
        for clip in merged.without_text
        if clip.utterance.speaker not in speakers and clip.video not in videos
    ]


def check(clips: Iterable[TranscribedClip]) -> None:
    """Check what scores on the manifests rest on: disjoint splits, and texts by people in valid and test.

    Raises:
        ValueError: for an automatic label outside of train, an unknown split, or a speaker or video in two splits.
    """
    splits: dict[str, list[TranscribedClip]] = {name: [] for name in SPLITS}
    for clip in clips:
        split = clip.utterance.split or ""
        if split not in splits:
            raise ValueError(
                f"clip {clip.utterance.id}: a split of {SPLITS} expected, found {split!r}; correct the manifests or "
                "the corpus that it comes from"
            )
        if split != "train" and clip.source != HUMAN:
            raise ValueError(
                f"clip {clip.utterance.id}: a transcript written by people expected in {split}, found a label of "
                f"{clip.source}, whose mistakes would count as correct; use the clip in train"
            )
        splits[split].append(clip)
    assert_disjoint({name: [clip.utterance.speaker for clip in own] for name, own in splits.items()})
    assert_disjoint({name: (f"of video {clip.video}" for clip in own) for name, own in splits.items()})
