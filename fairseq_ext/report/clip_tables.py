"""Make tables and a picture of mouth clips and their labels for RUN/corpus/, see `extras`.

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
    """Return the corpus that a clip is from, such as `mtedx`: the first folder of its source."""
    return row.source.split("/", 1)[0]


def clips_table(rows: Sequence[ClipRow]) -> Json:
    """Count the clips of each corpus, their length, and the quality of those kept.

    Args:
        rows: lines of clips.tsv, those of rejected clips too.

    Returns:
        The table.
    """
    lines = []
    for name in sorted(set(map(corpus_of, rows))):
        of_corpus = [row for row in rows if corpus_of(row) == name]
        kept = [row for row in of_corpus if row.status == "ok"]
        lines.append((
            name,
            number(len({row.source for row in of_corpus})),
            number(len(kept)),
            minutes_text(sum(row.num_frames for row in kept) / FRAMES_PER_MINUTE),
            number(len(of_corpus) - len(kept)),
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
    note = "Face, jitter and yaw: medians over the clips kept. Found: share of the detections that found the face."
    return _table("Mouth clips", header, lines, note)


def _median(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    return f"{np.median(known):.{digits}f}" if known else NOTHING


def rejections_table(rows: Sequence[ClipRow]) -> Json:
    """Count the reasons why clips were rejected, by corpus.

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
    """Count clips and hours per language and side, by who wrote the text.

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
    """Count the reasons why clips have no trusted text, by language.

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
            about["advice"],
        )
        for reason, about in merged["rejected"].items()
    ]
    note = (
        f"{merged['num_kept']} clips kept, {merged['num_rejected']} not. Languages are those recognised. Other limits "
        "need no new decoding: fairseq-ext label merge --help."
    )
    return _table(
        "Clips without a trusted text", ("Reason", *codes, "What it means, or what to do"), lines, note
    )


def language_table(checked: Mapping[str, Checked]) -> Json:
    """Count the languages that the labeller recognised, by the one spoken.

    Args:
        checked: language -> transcribed clips and their labels.

    Returns:
        The table; `none` counts clips without recognised speech.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for code, found in checked.items():
        for label in found.labels:
            counts[code][label.language if label.state in {LABELLED, OTHER_LANGUAGE} else "none"] += 1
    recognised = [name for name, _ in sum(counts.values(), Counter[str]()).most_common()]
    # The requested languages, then the six most frequent others.
    shown = [code for code in checked if code in recognised] + [
        name for name in recognised if name not in checked
    ][:6]
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
    header = ("Spoken", "Clips", "Right, %", *(f"as {name}" for name in shown), "other")
    return _table(
        "Recognised language", header, lines, "Of each clip alone, before the clips of a video vote."
    )


def trust_table(checked: Mapping[str, Checked], trusted: Mapping[str, set[str]]) -> Json:
    """Compare the word error rates of the labels that the filters trust and of those that they refuse.

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
        "On clips that people transcribed, labels spelled as the transcripts are; intervals of 95 % over clips. A clip "
        "without a text has all its words left out."
    )
    return _table("What the filters do", header, lines, note)


def _rate(rate: Mapping[str, float] | None) -> tuple[str, str]:
    if rate is None:
        return "0", NOTHING
    return number(rate["n"]), f"{percent(rate['value'])} {interval(rate)}"


def montage(clips: Path, rows: Sequence[ClipRow], num_strips: int = _STRIPS) -> NDArray[np.uint8] | None:
    """Stack strips of clips of every corpus, one below the other.

    Args:
        rows: lines of clips.tsv, of the clips kept.
        num_strips: number of strips, spread evenly over the corpora and their clips.

    Returns:
        Grey picture, (96 * num_strips, 960) uint8, or None without a clip.
    """
    groups: dict[str, list[ClipRow]] = defaultdict(list)
    for row in rows:
        groups[corpus_of(row)].append(row)
    chosen: list[ClipRow] = []
    for of_corpus in groups.values():
        share = min(len(of_corpus), max(1, num_strips // len(groups)))
        chosen += [of_corpus[i] for i in np.linspace(0, len(of_corpus) - 1, share).round().astype(int)]
    strips = [strip for row in chosen if (strip := strip_of(clips / "video" / f"{row.id}.mp4")) is not None]
    return np.vstack(strips) if strips else None


def write_picture(path: Path, picture: NDArray[np.uint8], num_clips: int) -> None:
    """Write a montage as PNG, with its title and caption beside it as JSON.

    Args:
        path: path of both files, without a suffix.
        picture: picture that `montage` returned.
        num_clips: number of clips kept.
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
