"""Labels all clips of a folder: any process may be killed at any moment, and a rerun keeps what is done.

Two passes: every clip in the language that it seems to be in; then, once the clips of a video have voted, those few
that were unsure and lost, in the language of their video.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from ..jobs import Execution, Item, Outcome, Rejected, Summary, Work, outcomes, run
from ..media.audio import AudioError, load
from ..media.mouth.table import ClipRow, read_clips
from .engine import SAMPLE_RATE_HZ, Engine
from .label import Labeller, Recording
from .table import FAILED, UNREADABLE, ClipLabel, from_result, labels_path, to_result, write_labels
from .videos import video_of
from .vote import to_decode_again, vote

MakeEngine = Callable[[], Engine]
_NUM_SOURCES = 4  # named where none matches


@dataclass(frozen=True, slots=True)
class Labelling:
    """What is asked for.

    Attributes:
        clips: folder with `clips.tsv` and `audio/`.
        out: folder of the labels.
        languages: codes that are wanted.
        batch_size: clips at once.
        settings: what the labels depend on besides: model, decoding.
        only: patterns such as `voxceleb2/*`; a clip is labelled when its source matches one. None: all.
        allow_none: whether it is no error when no clip's source matches.
    """

    clips: str
    out: str
    languages: tuple[str, ...]
    batch_size: int = 8
    settings: Mapping[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    allow_none: bool = False


def label_clips(wanted: Labelling, make_engine: MakeEngine, execution: Execution) -> Summary:
    """Runs both passes and writes labels.tsv.

    Args:
        wanted: what is asked for.
        make_engine: called once per process; a function of a module or a `functools.partial` of one.
        execution: where and how.

    Returns:
        What became of the clips in the first pass. Where shards are missing there is no labels.tsv yet.

    Raises:
        ValueError: for no clip, or other settings than those of an earlier run.
    """
    first = Path(wanted.out) / "jobs" / "label"
    settings = {
        **wanted.settings,
        "languages": sorted(wanted.languages),
        "clips": os.path.abspath(wanted.clips),
    }
    work = partial(make_work, make_engine, wanted.clips, wanted.languages)
    options: dict[str, Any] = {"settings": settings, "execution": execution, "batch_size": wanted.batch_size}
    items = clip_items(wanted.clips, wanted.only, allow_none=wanted.allow_none)
    summary = run(first, items, work, **options)
    if execution.watch:
        return summary
    if not summary.complete:
        labels_path(wanted.out).unlink(missing_ok=True)  # of before an update
        return summary
    unsure = list(second_items(labels_of(outcomes(first)), wanted.languages))
    again = first.with_name("label-again") if unsure else None
    if again is not None:
        options["execution"] = _second(execution)
        run(again, unsure, work, **options)
    write_labels(labels_path(wanted.out), joined(first, again))
    return summary


def _second(execution: Execution) -> Execution:
    """The last shard to finish the first pass does all of the second; clips that failed at first may change a vote."""
    shards = execution.shards if execution.executor == "slurm" else 1
    return replace(execution, update=True, shards=shards, shard_id=None)


def clip_items(
    clips: str | os.PathLike[str], only: Sequence[str] = (), *, allow_none: bool = False
) -> Iterator[Item]:
    """Lists the clips that were prepared; those that were rejected have no sound.

    Args:
        clips: folder with `clips.tsv`.
        only: patterns, one of which the source of a clip must match; none: all clips.
        allow_none: whether it is no error when none does.

    Yields:
        Items of `make_work`.

    Raises:
        ValueError: for none, and for patterns that match none.
    """
    row: ClipRow | None = None
    has_matched, sources = False, dict[str, str]()
    for row in read_clips(clips):
        if only and not any(fnmatchcase(row.source, pattern) for pattern in only):
            if len(sources) < _NUM_SOURCES:  # one per folder
                sources.setdefault(row.source.partition("/")[0], row.source)
            continue
        has_matched = True
        # The length: a clip that was cut anew is labelled anew.
        yield Item(row.id, {"video": video_of(row.id, row.source), "num_samples": row.num_samples})
    if row is None:
        raise ValueError(
            f"{clips}/clips.tsv: a clip with status ok expected, found none; prepare the videos first"
        )
    if not has_matched and not allow_none:
        raise ValueError(
            f"{clips}/clips.tsv: a source that matches {' or '.join(only)} expected, found "
            f"{', '.join(sources.values())} and the like; change the patterns, * stands for any characters"
        )


def second_items(labels: Iterable[ClipLabel], languages: Iterable[str]) -> Iterator[Item]:
    """Lists the clips that are decoded again, in the language that their video has voted for.

    Args:
        labels: of the first pass.
        languages: that are wanted.

    Yields:
        Items of `make_work`.
    """
    rows = list(labels)
    for label, language in to_decode_again(rows, vote(rows), languages):
        yield Item(label.id, {"video": label.video, "language": language, "heard_before": label.text})


def make_work(make_engine: MakeEngine, clips: str, languages: Sequence[str]) -> Work:
    """Loads the recogniser, once per process.

    Args:
        make_engine: loads it.
        clips: folder that holds `audio/`.
        languages: that are wanted.

    Returns:
        The work on items of `clip_items` and `second_items`.
    """
    labeller = Labeller(make_engine(), languages)
    return partial(_label, labeller, Path(clips))


def _label(labeller: Labeller, clips: Path, items: Sequence[Item]) -> Iterator[Mapping[str, Any] | Exception]:
    recordings = [_recording(clips, item) for item in items]
    rows = iter(labeller([r for r in recordings if isinstance(r, Recording)]))
    for recording in recordings:
        yield to_result(next(rows)) if isinstance(recording, Recording) else recording


def _recording(clips: Path, item: Item) -> Recording | Rejected:
    video, language = item.data["video"], item.data.get("language")
    try:
        waveform = load(clips / "audio" / f"{item.id}.wav", sample_rate_hz=SAMPLE_RATE_HZ)
    except (AudioError, OSError) as error:
        row = ClipLabel(id=item.id, video=video, state=UNREADABLE)
        return Rejected(UNREADABLE, str(error), to_result(row))
    return Recording(item.id, video, waveform, language)


def labels_of(found: Iterable[Outcome]) -> Iterator[ClipLabel]:
    """Makes rows of outcomes; one per clip, whatever became of it.

    Args:
        found: of `jobs.outcomes`.

    Yields:
        The rows.
    """
    for outcome in found:
        yield from_result(outcome.result) if outcome.result else _failed(outcome)


def _failed(outcome: Outcome) -> ClipLabel:
    return ClipLabel(id=outcome.id, video=outcome.id, state=FAILED)


def joined(first: Path, again: Path | None) -> Iterator[ClipLabel]:
    """The rows of the first pass, replaced by those of the second where there is one that did not fail.

    Args:
        first: folder of the job.
        again: likewise; None: nothing was decoded again.

    Yields:
        The rows, in the order of the clips.
    """
    newer = {label.id: label for label in labels_of(outcomes(again))} if again else {}
    for label in labels_of(outcomes(first)):
        second = newer.get(label.id)
        yield label if second is None or second.state == FAILED else second
