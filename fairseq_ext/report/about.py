"""report.json: the titles, order and choices that a recipe gives its tables and page."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..scoring.scored_system import read_json

# Every key may be absent.
KEYS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "title": (str, "title of page and RESULTS.md"),
    "intro": (str, "a paragraph under the title: data, split, how choices were made"),
    "systems": (dict, "system -> title, in the order of the tables"),
    "partitions": (
        dict,
        "partition, or family of partitions (what is before the last slash, such as leave_one_out/) -> title",
    ),
    "headline": (
        list,
        "partitions and families of folds (loso/) whose systems are shown first and in detail; default: published, "
        "or else all without a table of their own",
    ),
    "details": (
        list,
        "headlines whose speakers, classes, groups and choices have tables in RESULTS.md; default: all of them",
    ),
    "best": (
        (str, dict),
        "system shown in detail, or partition or result type -> system; never the best test score",
    ),
    "metric": (
        str,
        "metric of classifiers for controls and tiles: accuracy (default of the controls), macro_f1, or macro_recall "
        "(UA), which then comes first in tables, too",
    ),
    "leaky": (dict, "control with shared speakers -> sound partition beside it; families end in /"),
    "compare": (list, "pairs of recognisers [first, second], compared wherever both were scored"),
    "published": (list, "published figures to show beside ours: system, partition, accuracy"),
    "published_labels": (int, "labelled recordings per class and speaker of the published split"),
    "validation": (str, "what the validation split was used for, below the learning curves of classifiers"),
    "words": (dict, "class -> how it is spoken, for the examples"),
}


def read_about(path: Path) -> dict[str, Any]:
    """Read report.json.

    Raises:
        ValueError: it is no JSON object, or has an unknown key, or a value of another type.
    """
    about = read_json(path, "correct the file, see fairseq_ext/report/about.py")
    for key, value in about.items():
        if key not in KEYS:
            near = get_close_matches(key, KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else "delete it"
            raise ValueError(f"{path}: expected keys among {list(KEYS)}, found {key!r}; {hint}")
        if not isinstance(value, KEYS[key][0]):
            raise ValueError(f"{path}: {key}: expected {KEYS[key][1]}; found {value!r:.80}; correct the file")
    return about
