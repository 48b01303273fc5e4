"""Write the tables and the picture of RUN/corpus/ about mouth clips, and score their automatic labels.

RUN holds `clips/`, `labels/` and `manifests/` as `fairseq-ext prepare mouth`, `label auto` and `label merge`
write them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..labelling.filters import FilterSettings, judge
from ..labelling.table import ClipLabel, labels_path, read_labels
from ..labelling.vote import Vote, vote
from ..media.mouth.table import read_clips
from ..scoring.label_quality import Checked, read_checked, score_labels
from ..scoring.scored_system import ScoredSystem, scores_folder, write_json
from . import clip_tables

SPLIT = "valid"  # nothing is chosen on test, not even a labeller


def write_clip_report(run: Path, languages: Sequence[str], system: ScoredSystem) -> list[str]:
    """Write `scores/LANGUAGE/...` and `corpus/*.json`.

    Args:
        system: name and origin of the labels; its partition is set to each language in turn.

    Returns:
        A line per language for the terminal; none where no validation clip has both a transcript and a label.

    Raises:
        ValueError: a table is damaged.
        FileNotFoundError: an earlier stage has not been run.
    """
    merged: dict[str, Any] = json.loads((run / "manifests" / "summary.json").read_text(encoding="utf-8"))
    labels = {label.id: label for label in read_labels(labels_path(run / "labels"))}
    limits = FilterSettings(**merged["settings"]["filters"])
    settings = {
        "model": next(iter({label.model for label in labels.values()}), ""),
        "filters": merged["settings"]["filters"],
    }
    checked: dict[str, Checked] = {}
    lines = []
    for code in languages:
        manifest = run / "manifests" / code
        if not (manifest / f"{SPLIT}.tsv").is_file():
            continue
        of_language = replace(system, partition=code)
        out = of_language.folder(scores_folder(run))
        score = score_labels(of_language, out, manifest, SPLIT, labels, settings)
        if score is not None:
            checked[code] = read_checked(manifest, SPLIT, labels)
            wer = score["decoders"]["auto"]["metrics"]["wer"]["value"]
            lines.append(f"{code}: WER of the labels {100 * wer:.1f} % on {score['n']} transcribed clips")
    _write_tables(run, merged, checked, _trusted(checked, labels, limits))
    return lines


def _trusted(
    checked: dict[str, Checked], labels: dict[str, ClipLabel], limits: FilterSettings
) -> dict[str, set[str]]:
    votes: dict[str, Vote] = vote(labels.values())
    return {
        code: {label.id for label in found.labels if judge(label, votes.get(label.video), limits) is None}
        for code, found in checked.items()
    }


def _write_tables(
    run: Path, merged: dict[str, Any], checked: dict[str, Checked], trusted: dict[str, set[str]]
) -> None:
    rows = list(read_clips(run / "clips", status=None))
    found = {
        "1-clips": clip_tables.clips_table(rows),
        "2-rejected": clip_tables.rejections_table(rows),
        "3-hours": clip_tables.hours_table(merged),
        "4-refused": clip_tables.refused_table(merged),
    }
    if checked:
        found["5-languages"] = clip_tables.language_table(checked)
        found["6-filters"] = clip_tables.trust_table(checked, trusted)
    for name, table in found.items():
        write_json(run / "corpus" / f"{name}.json", table)
    kept = [row for row in rows if row.status == "ok"]
    picture = clip_tables.montage(run / "clips", kept)
    if picture is not None:
        clip_tables.write_picture(run / "corpus" / "montage", picture, len(kept))
