"""What the report says of mouth clips and their labels: tables and a picture for RUN/corpus/, see `extras`.

Everything is counted from `clips.tsv`, from the summary of the merged labels, and from labels beside transcripts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import write_bytes
from ..labelling.merge import HUMAN
from ..labelling.table import LABELLED, OTHER_LANGUAGE
from ..media.mouth.audit import strip_of
from ..media.mouth.settings import FRAMES_PER_S, SIZE_PX
from ..media.mouth.table import REASONS, ClipRow
from ..optional import import_optional
from ..scoring.label_quality import Checked, word_error_rate
from ..scoring.scored_system import write_json
from .recognition.systems import minutes_text
from .tables import NOTHING, interval, number, percent

FRAMES_PER_MINUTE = 60 * FRAMES_PER_S
_STRIPS = 12  # in the montage

Json = dict[str, Any]


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]], note: str = "") -> Json:
    cells = [[str(cell) for cell in row] for row in rows]
    return {"title": title, "header": list(header), "rows": cells, "note": note}


def corpus_of(row: ClipRow) -> str:
    """Names the corpus that a clip is from.

    Args:
        row: of a clip whose source begins with the corpus's folder.

    Returns:
        Such as `mtedx`.
    """
    return row.source.split("/", 1)[0]


def clips_table(rows: Sequence[ClipRow]) -> Json:
    """Number and length of the clips of each corpus, and the quality of what was kept.

    Args:
        rows: of all clips, the rejected ones too.

    Returns:
        The table.
    """
    lines = []
    for name in sorted(set(map(corpus_of, rows))):
        own = [row for row in rows if corpus_of(row) == name]
        kept = [row for row in own if row.status == "ok"]
        lines.append((
            name,
            number(len({row.source for row in own})),
            number(len(kept)),
            minutes_text(sum(row.num_frames for row in kept) / FRAMES_PER_MINUTE),
            number(len(own) - len(kept)),
            _median([row.face_size_px for row in kept], 0),
            _median([row.jitter_px for row in kept], 2),
            _median([row.yaw_deg for row in kept], 0),
            percent(float(np.mean([row.detection_rate or 0.0 for row in kept]))) if kept else NOTHING,
        ))  # fmt: skip
    header = (
        "Corpus",
        "Videos",
        "Clips",
        "Length",
        "Rejected",
        "Face, px",
        "Jitter, px",
        "Yaw, °",
        "Found, %",
    )
    note = "Face, jitter and yaw: medians over the clips kept. Found: share of the looks that found the face."
    return _table("Mouth clips", header, lines, note)


def _median(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    return f"{np.median(known):.{digits}f}" if known else NOTHING


def rejections_table(rows: Sequence[ClipRow]) -> Json:
    """Why clips were rejected, by corpus.

    Args:
        rows: of all clips.

    Returns:
        The table.
    """
    names = sorted(set(map(corpus_of, rows)))
    counts = Counter((row.reason, corpus_of(row)) for row in rows if row.status != "ok")
    reasons = Counter(row.reason for row in rows if row.status != "ok")
    lines = [
        (reason, *(number(counts[reason, name]) for name in names), REASONS.get(reason, ""))
        for reason, _ in reasons.most_common()
    ]
    note = (
        f"{reasons.total()} of {len(rows)} clips. Each is in clips.tsv with its numbers, and in clips/audit/."
    )
    return _table("Rejected clips", ("Reason", *names, "Meaning"), lines, note)


def hours_table(merged: Mapping[str, Any]) -> Json:
    """How much there is per language and side, and who wrote the text.

    Args:
        merged: `summary.json` of the merged labels.

    Returns:
        The table.
    """
    lines = []
    for code, sides in merged["languages"].items():
        for side, amounts in sides.items():
            for source, amount in amounts.items():
                who = "published" if source == HUMAN else f"automatic, {source}"
                length = minutes_text(60 * amount["hours"])
                lines.append((code, side, who, amount["clips"], length, amount["speakers"], amount["videos"]))
    header = ("Language", "Side", "Text", "Clips", "Length", "Speakers", "Videos")
    note = "Automatic labels train only. A speaker of valid or test is not in train, whoever wrote the text."
    return _table("Labelled clips", header, lines, note)


def refused_table(merged: Mapping[str, Any]) -> Json:
    """Why clips have no text that is trusted, by language.

    Args:
        merged: `summary.json` of the merged labels.

    Returns:
        The table.
    """
    codes = list(merged["rejected_by_language"])
    lines = [
        (
            reason,
            *(number(merged["rejected_by_language"][code].get(reason, 0)) for code in codes),
            own["advice"],
        )
        for reason, own in merged["rejected"].items()
    ]
    note = (
        f"{merged['num_kept']} clips kept, {merged['num_rejected']} not. Languages are those heard. Other limits need "
        "no new decoding: tools/merge_labels.py --help."
    )
    return _table(
        "Clips without a trusted text", ("Reason", *codes, "What it means, or what to do"), lines, note
    )


def heard_table(checked: Mapping[str, Checked]) -> Json:
    """The language that people know against the one that the labeller heard.

    Args:
        checked: language -> transcribed clips and their labels.

    Returns:
        The table; `none` counts clips in which nobody was heard.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for code, found in checked.items():
        for label in found.labels:
            counts[code][label.language if label.state in {LABELLED, OTHER_LANGUAGE} else "none"] += 1
    heard = [name for name, _ in sum(counts.values(), Counter[str]()).most_common()]
    shown = [code for code in checked if code in heard] + [name for name in heard if name not in checked][:6]
    lines = [
        (
            code,
            number(row.total()),
            percent(row[code] / row.total()),
            *(number(row[name]) for name in shown),
            number(row.total() - sum(row[name] for name in shown)),
        )
        for code, row in counts.items()
        if row.total()
    ]
    header = ("Spoken", "Clips", "Right, %", *(f"heard {name}" for name in shown), "other")
    return _table("Language heard", header, lines, "Of each clip alone, before the clips of a video vote.")


def trust_table(checked: Mapping[str, Checked], trusted: Mapping[str, set[str]]) -> Json:
    """Whether the filters keep the better labels: word error rates of what they trust and of what they refuse.

    Args:
        checked: language -> transcribed clips and their labels.
        trusted: language -> ids of the labels that the filters trust.

    Returns:
        The table.
    """
    lines = []
    for code, found in checked.items():
        keep = trusted[code]
        ids = {label.id for label in found.labels}
        rates = [word_error_rate(found, code, chosen) for chosen in (ids, ids & keep, ids - keep)]
        lines.append((code, *(cell for rate in rates for cell in _rate(rate))))
    header = ("Language", "Clips", "WER %, all", "Clips", "WER %, trusted", "Clips", "WER %, refused")
    note = (
        "On clips that people transcribed; both sides normalised; intervals of 95 % over clips. A clip without a text "
        "has all its words left out."
    )
    return _table("What the filters do", header, lines, note)


def _rate(rate: Mapping[str, float] | None) -> tuple[str, str]:
    if rate is None:
        return "0", NOTHING
    return number(rate["n"]), f"{percent(rate['value'])} {interval(rate)}"


def montage(clips: Path, rows: Sequence[ClipRow], num_strips: int = _STRIPS) -> NDArray[np.uint8] | None:
    """Strips of clips of every corpus, one below the other.

    Args:
        clips: folder of prepared clips.
        rows: of the clips kept.
        num_strips: how many, spread evenly over the corpora and their clips.

    Returns:
        (96 * num_strips, 960) uint8, or None without a clip.
    """
    groups: dict[str, list[ClipRow]] = defaultdict(list)
    for row in rows:
        groups[corpus_of(row)].append(row)
    chosen: list[ClipRow] = []
    for own in groups.values():
        share = min(len(own), max(1, num_strips // len(groups)))
        chosen += [own[i] for i in np.linspace(0, len(own) - 1, share).round().astype(int)]
    strips = [strip for row in chosen if (strip := strip_of(clips / "video" / f"{row.id}.mp4")) is not None]
    return np.vstack(strips) if strips else None


def write_picture(path: Path, picture: NDArray[np.uint8], num_clips: int) -> None:
    """Writes a montage as PNG, with the text that stands beside it on the page.

    Args:
        path: without a suffix.
        picture: of `montage`.
        num_clips: that it stands for.
    """
    cv2 = import_optional("cv2")

    write_bytes(path.with_suffix(".png"), cv2.imencode(".png", picture)[1].tobytes())
    num_strips = len(picture) // SIZE_PX
    text = {
        "title": "Mouth clips to look at",
        "caption": f"{num_strips} of {num_clips} clips, ten frames each; more in clips/audit/, the worst first.",
        "description": f"{num_strips} rows of ten grey pictures of mouths, a row for each clip.",
    }
    write_json(path.with_suffix(".json"), text)
