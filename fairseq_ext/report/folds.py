"""Pool the folds of a family: every fold tests other utterances, so all their predictions are scored as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..scoring.scored_system import result_type_of, scores_folder
from ..scoring.seeds import mean_of
from .partitions import CROSS_CORPUS, family_of
from .registry import RESULT_TYPES
from .result_type import Fold, System


def pooled_systems(run: Path, systems: Sequence[System]) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Score the predictions of all folds together, for each family, system and seed that has every fold.

    Yields:
        The partitions of the folds, and what metrics.json would hold of them as one; its partition is the family.
    """
    families: dict[tuple[str, str], set[str]] = {}
    for system in systems:
        if (family := family_of(system["partition"])) not in {None, CROSS_CORPUS}:
            families.setdefault((family, result_type_of(system)), set()).add(system["partition"])
    for (family, result_type), partitions in sorted(families.items()):
        pool = RESULT_TYPES[result_type].pool
        if pool is None or len(partitions) < 2:
            continue
        mine = [s for s in systems if s["partition"] in partitions and result_type_of(s) == result_type]
        for name, seed in sorted({(s["system"], s["seed"]) for s in mine}):
            folds = sorted(
                (s for s in mine if (s["system"], s["seed"]) == (name, seed)), key=lambda s: s["partition"]
            )
            every = [
                Fold(
                    s,
                    scores_folder(run) / s["partition"] / name / f"seed{seed}",
                    run / "manifests" / s["partition"],
                )
                for s in folds
            ]
            # A system without some of the folds was tested on other utterances than the rest of the family.
            if len(folds) == len(partitions) and (scores := pool(every)) is not None:
                about = {**folds[0], "partition": family, "train_s": mean_of(folds, "train_s")}
                shared = [s["num_shared_speakers"] for s in folds if s.get("num_shared_speakers") is not None]
                about["num_shared_speakers"] = max(shared, default=None)
                yield [s["partition"] for s in folds], {**about, **scores}
