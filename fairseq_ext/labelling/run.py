"""Label all clips of a folder as a job: any process may be killed at any moment, and a rerun keeps what is done.

Two passes: every clip in its detected language; then, when the clips of a video have voted, the few clips that were
unsure and outvoted, in the language of their video.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from ..jobs import Execution, Item, Outcome, Rejected, Summary, Work, outcomes, run
from ..media.audio import AudioError
from ..media.mouth.table import ClipRow, read_clips
from ..media.stretches import Stretches
from .engine import SAMPLE_RATE_HZ, Engine
from .label import Labeller, Recording
from .table import DAMAGED, FAILED, UNREADABLE, ClipLabel, from_result, labels_path, write_labels
from .videos import video_of
from .vote import to_decode_again, vote

MakeEngine = Callable[[], Engine]
_NUM_SOURCES = 4  # examples in the message when no source matches


@dataclass(frozen=True, slots=True)
class Labelling:
    """Which clips to label, and how.

    Attributes:
        clips: folder with `clips.tsv` and `audio/`.
        out: folder of the labels.
        languages: codes of the languages to transcribe.
        batch_size: clips per batch.
        settings: other settings of the labels, such as model and decoding; a rerun with other settings is refused.
        only: patterns such as `voxceleb2/*`; label the clips whose source matches one. Empty: all.
        allow_none: accept that no clip's source matches.
        keep_damaged: label also clips whose file is cut off or damaged.
        detect: find the language of each clip; False = all are in the only one of `languages`.
    """

    clips: str
    out: str
    languages: tuple[str, ...]
    batch_size: int = 8
    settings: Mapping[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    allow_none: bool = False
    keep_damaged: bool = False
    detect: bool = True


def label_clips(request: Labelling, make_engine: MakeEngine, execution: Execution) -> Summary:
    """Run both passes and write labels.tsv; as long as shards are missing there is none.

    Returns outcomes of the first pass. `make_engine` is called once per process; a function of a module or a
    `functools.partial` of one.

    Raises:
        ValueError: for no clip, or other settings than those of an earlier run.
    """
    first = Path(request.out) / "jobs" / "label"
    settings = {
        **request.settings,
        "languages": sorted(request.languages),
        "clips": os.path.abspath(request.clips),
    }
    if not request.detect:  # labels made before there was a choice are of detected languages
        settings["detect"] = False
    work = partial(make_work, make_engine, request.clips, request.languages, detect=request.detect)
    options: dict[str, Any] = {"settings": settings, "execution": execution, "batch_size": request.batch_size}
    items = clip_items(
        request.clips, request.only, allow_none=request.allow_none, keep_damaged=request.keep_damaged
    )
    summary = run(first, items, work, **options)
    if execution.watch:
        return summary
    if not summary.complete:
        labels_path(request.out).unlink(missing_ok=True)  # from before an update
        return summary
    unsure = list(_second_items(labels_of(outcomes(first)), request.languages))
    again = first.with_name("label-again") if unsure else None
    if again is not None:
        options["execution"] = _second(execution)
        run(again, unsure, work, **options)
    write_labels(labels_path(request.out), joined(first, again))
    return summary


def _second(execution: Execution) -> Execution:
    """Return how to run the second pass, all of it by the shard that finished last.

    It is an update, since clips that failed at first may change a vote, and with it the clips to decode again.
    """
    shards = execution.shards if execution.executor == "slurm" else 1
    return replace(execution, update=True, shards=shards, shard_id=None)


def clip_items(
    clips: str | os.PathLike[str],
    only: Sequence[str] = (),
    *,
    allow_none: bool = False,
    keep_damaged: bool = False,
) -> Iterator[Item]:
    """List the prepared clips, without those rejected by the preparation, which have no audio; see `Labelling`.

    Clips whose file is damaged are marked, and then not labelled, unless `keep_damaged`.

    Raises:
        ValueError: when there is no clip, or no source matches.
    """
    row: ClipRow | None = None
    has_matched, sources = False, dict[str, str]()
    for row in read_clips(clips):
        if only and not any(fnmatchcase(row.source, pattern) for pattern in only):
            if len(sources) < _NUM_SOURCES:  # one per folder
                sources.setdefault(row.source.partition("/")[0], row.source)
            continue
        has_matched = True
        # With the length, so that a clip that was cut anew is labelled anew.
        facts = {"video": video_of(row.id, row.source), "num_samples": row.num_samples}
        if row.is_damaged and not keep_damaged:
            facts["damage"] = f"{row.missing_s:.2f} s missing, {row.num_bad_packets} packets not decoded"
        yield Item(row.id, facts)
    if row is None:
        raise ValueError(f"{clips}/clips.tsv: no clip has status ok; run fairseq-ext prepare mouth first")
    if not has_matched and not allow_none:
        raise ValueError(
            f"{clips}/clips.tsv: no source matches {' or '.join(only)}; found sources such as "
            f"{', '.join(sources.values())}; change the patterns, in which * matches any characters"
        )


def _second_items(labels: Iterable[ClipLabel], languages: Iterable[str]) -> Iterator[Item]:
    """List the clips to decode again, in the language that their video has voted for."""
    rows = list(labels)
    for label, language in to_decode_again(rows, vote(rows), languages):
        yield Item(label.id, {"video": label.video, "language": language, "heard_before": label.text})


def make_work(make_engine: MakeEngine, clips: str, languages: Sequence[str], *, detect: bool = True) -> Work:
    """Load the recogniser of a process; return its work on items of `clip_items` and `_second_items`."""
    labeller = Labeller(make_engine(), languages, detect=detect)
    return partial(_label, labeller, Path(clips))


def _label(labeller: Labeller, clips: Path, items: Sequence[Item]) -> Iterator[Mapping[str, Any] | Exception]:
    recordings = [_recording(clips, item) for item in items]
    rows = iter(labeller([r for r in recordings if isinstance(r, Recording)]))
    for recording in recordings:
        yield asdict(next(rows)) if isinstance(recording, Recording) else recording


def _recording(clips: Path, item: Item) -> Recording | Rejected:
    if damage := item.data.get("damage"):
        return _rejected(item, DAMAGED, damage)
    try:
        waveform = Stretches(clips / "audio" / f"{item.id}.wav", SAMPLE_RATE_HZ)
        waveform.check()
    except (AudioError, OSError) as error:
        return _rejected(item, UNREADABLE, str(error))
    return Recording(item.id, item.data["video"], waveform, item.data.get("language"))


def _rejected(item: Item, state: str, detail: str) -> Rejected:
    row = ClipLabel(id=item.id, video=item.data["video"], state=state, detail=detail)
    return Rejected(state, detail, asdict(row))


def labels_of(found: Iterable[Outcome]) -> Iterator[ClipLabel]:
    """Turn outcomes into labels, one per clip, also of clips that failed."""
    for outcome in found:
        failed = ClipLabel(id=outcome.id, video=outcome.id, state=FAILED)
        yield from_result(outcome.result) if outcome.result else failed


def joined(first: Path, again: Path | None) -> Iterator[ClipLabel]:
    """Join both passes: a clip keeps its first label unless the second pass has one that did not fail."""
    newer = {label.id: label for label in labels_of(outcomes(again))} if again else {}
    for label in labels_of(outcomes(first)):
        second = newer.get(label.id)
        yield label if second is None or second.state == FAILED else second
