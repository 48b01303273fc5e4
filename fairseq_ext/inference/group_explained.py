"""What the groups of features of an accent encoder do: shares in the fusion, embeddings without each, reconstructions.

A group is taken away at test time: its normalised features become 0, the mean of the training. The network never
learnt to do without it, so that what falls is what it relies on, not what could be reached without the group.

Shapes: T frames, D columns of a group, E embedding.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..checkpoints.encoder import weights_sha256
from ..checkpoints.load import load_model
from ..features.preparation import Preparation, prepare
from ..file_errors import FileError
from ..files import atomic_write, write_bytes
from ..media.audio import load_row
from ..models.accent_encoder import AccentEncoder
from ..report.reconstruction_picture import picture
from ..scoring.classifiers import saved
from ..scoring.classifiers.fitted import EmbeddingClassifier
from ..scoring.embeddings import Split, read_split
from ..scoring.evaluation import with_labels
from ..scoring.metrics import confusion_matrix, overall_scores

Floats = NDArray[np.float32]


@dataclass
class GroupsExplained:
    """What was found.

    Attributes:
        shares: group -> share in the fusion, of 1.
        moved: group -> mean cosine distance by which embeddings move without it.
        explained: group -> share of the variance of its features that the heads reconstruct; empty without heads.
        macro_recall: group -> macro recall of a saved classifier without it, "" with all; empty without a classifier.
        num_recordings: recordings that were embedded.
        skipped: (id, reason) of others.
    """

    shares: dict[str, float]
    moved: dict[str, float] = field(default_factory=dict)
    explained: dict[str, float] = field(default_factory=dict)
    macro_recall: dict[str, float] = field(default_factory=dict)
    num_recordings: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)


def explain_groups(
    checkpoint: Path,
    data: Path,
    out: Path,
    *,
    split: str = "test",
    label: str = "",
    classifier: Path | None = None,
    max_recordings: int = 100,
    num_pictures: int = 3,
    device: str = "cpu",
) -> GroupsExplained:
    """Write a table groups.json and pictures groups-*.png below `out`, as `report.extras` shows them.

    Args:
        checkpoint: of `ext_accent_encoder`.
        data: manifest folder.
        out: such as RUN/attribution.
        split: split of the folder.
        label: label stream by which the classifier is scored; empty = the checkpoint's.
        classifier: folder of a saved classifier of this encoder's embeddings; None = none.
        max_recordings: most recordings, speakers in turn; 0 = all.
        num_pictures: recordings to draw, of different speakers as far as possible.
        device: torch device.

    Raises:
        FileError: the classifier was fitted on the embeddings of other weights.
        ValueError: another model, or no recording can be used.
    """
    fitted = None if classifier is None else _fitted_on(checkpoint, classifier)
    encoder = _Encoder(checkpoint, device)
    chosen = _in_turn(with_labels(read_split(data, split, label or encoder.label)), max_recordings)
    found = GroupsExplained(encoder.model.group_weights())
    vectors: list[Floats] = []
    targets: list[str] = []
    sums: dict[str, list[NDArray[np.float64]]] = {}
    for entry, id_, target in zip(chosen.entries, chosen.ids, chosen.targets, strict=True):
        try:
            waveform = load_row(entry, encoder.sample_rate_hz)
        except FileError as error:
            found.skipped.append((id_, str(error)))
            continue
        whole = encoder(waveform)
        if len(vectors) < num_pictures and whole["reconstruction"]:
            _draw(out, len(vectors) + 1, id_, whole)
        _add_reconstruction(sums, whole)
        # All groups, then without each.
        rows = [whole["embedding"], *(encoder(waveform, without=name)["embedding"] for name in found.shares)]
        vectors.append(torch.cat(rows).numpy())
        targets.append(target)
    if not vectors:
        raise ValueError(f"{data}/{split}: none of {len(chosen.ids)} recordings can be read; check the files")
    found.num_recordings = len(vectors)
    _summarise(found, np.stack(vectors), sums)
    if fitted is not None:
        _score(found, np.stack(vectors), targets, fitted, f"{classifier}")
    _write_table(out / "groups.json", found, checkpoint)
    return found


class _Encoder:
    """An accent encoder that hears one recording after another, as `ext embed` prepares them."""

    def __init__(self, checkpoint: Path, device: str) -> None:
        trained = load_model(checkpoint, device)
        if not isinstance(trained.model, AccentEncoder):
            raise ValueError(
                f"{checkpoint}: a checkpoint of ext_accent_encoder expected, found {trained.cfg.model._name}; groups "
                "of features are its own"
            )
        self.model, self.label, self.sample_rate_hz = trained.model, trained.label, trained.sample_rate_hz
        self._device = device
        prepared = trained.task_state.get("preparation")
        self._preparation = Preparation(**prepared) if prepared else None

    @torch.no_grad()
    def __call__(self, waveform: Floats, without: str = "") -> dict[str, Any]:
        if self._preparation is not None:
            waveform = prepare(waveform, self.sample_rate_hz, self._preparation).waveform
        with _without(self.model, without):
            found = self.model(torch.from_numpy(waveform)[None].to(self._device))
        return {
            "embedding": found["embedding"].cpu(),
            "reconstruction": {
                name: value[0].cpu().numpy() for name, value in found["reconstruction"].items()
            },
            "targets": {name: value[0].cpu().numpy() for name, value in found["targets"].items()},
        }


@contextmanager
def _without(model: AccentEncoder, group: str) -> Iterator[None]:
    """Give the network zeros for a group, which are the mean of the training; empty = all groups stay."""

    def zeroed(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        frames, lengths, targets = args
        return tuple(
            part if part is lengths or group not in part else {**part, group: torch.zeros_like(part[group])}
            for part in (frames, lengths, targets)
        )

    handle = model.encoder.register_forward_pre_hook(zeroed) if group else None
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()


def _in_turn(split: Split, most: int) -> Split:
    """Return the first recordings of every speaker, then their second ones, and so on."""
    seen: dict[str, int] = {}
    order = []
    for position, speaker in enumerate(split.speakers):
        seen[speaker] = seen.get(speaker, 0) + 1
        order.append((seen[speaker], position))
    return split.subset([position for _, position in sorted(order)][: most or None])


def _add_reconstruction(sums: dict[str, list[NDArray[np.float64]]], whole: dict[str, Any]) -> None:
    for name, made in whole["reconstruction"].items():
        true = whole["targets"][name]
        errors = np.square(true - made, dtype=np.float64).sum(0), np.square(true, dtype=np.float64).sum(0)
        sums.setdefault(name, []).append(np.stack(errors))


def _summarise(found: GroupsExplained, vectors: Floats, sums: dict[str, list[NDArray[np.float64]]]) -> None:
    for number, name in enumerate(found.shares, 1):
        found.moved[name] = float(1 - (vectors[:, 0] * vectors[:, number]).sum(1).mean())
    for name, parts in sums.items():
        error, power = np.sum(parts, axis=0)
        found.explained[name] = float(1 - error.sum() / max(power.sum(), 1e-12))


def _fitted_on(checkpoint: Path, folder: Path) -> EmbeddingClassifier:
    """Load a saved classifier of a checkpoint's embeddings; raise FileError for one of others."""
    found = saved.load(folder)
    found.check_encoder(checkpoint, weights_sha256(os.fspath(checkpoint)), folder)
    return found.classifier


def _score(
    found: GroupsExplained,
    vectors: Floats,
    targets: Sequence[str],
    classifier: EmbeddingClassifier,
    place: str,
) -> None:
    """Score a saved classifier with all groups and without each.

    Raises:
        ValueError: recordings of classes that it does not know.
    """
    if unknown := sorted(set(targets) - set(classifier.labels)):
        raise ValueError(
            f"{place}: the recordings are of {', '.join(unknown)}, it knows {', '.join(classifier.labels)}; give the "
            "label that it was trained on"
        )
    numbers = np.array([classifier.labels.index(target) for target in targets])
    for name, of_group in zip(("", *found.shares), vectors.swapaxes(0, 1), strict=True):
        predicted = _log_probs(classifier, of_group).argmax(1)
        scores = overall_scores(confusion_matrix(numbers, predicted, len(classifier.labels)))
        found.macro_recall[name] = float(scores["macro_recall"])


def _log_probs(classifier: EmbeddingClassifier, vectors: Floats) -> Floats:
    return classifier.log_probs(lambda _: vectors)


def _draw(out: Path, number: int, id_: str, whole: dict[str, Any]) -> None:
    """Write a picture and what report.extras reads of it."""
    groups = {name: (whole["targets"][name], made) for name, made in whole["reconstruction"].items()}
    safe = re.sub(r"[^\w.-]+", "_", id_)
    name = f"groups-{number}-{safe}"
    write_bytes(out / f"{name}.png", picture(f"Reconstructions: {id_}", groups))
    about = {
        "title": f"Reconstructed features, {id_}",
        "caption": "Features of the groups on the left, what the heads make of the network's steps on the right.",
        "description": f"Features and reconstructions of {', '.join(groups)}, in standard deviations, over time.",
    }
    with atomic_write(out / f"{name}.json") as file:
        json.dump(about, file, indent=1, ensure_ascii=False)


def _write_table(path: Path, found: GroupsExplained, checkpoint: Path) -> None:
    header = ["Group", "Share in the fusion, %", "Embedding moves without it"]
    header += ["UAR without it, %"] if found.macro_recall else []
    header += ["Variance reconstructed, %"] if found.explained else []
    rows = []
    for name in ("", *found.shares):
        row = [name or "all", "100.0" if not name else f"{100 * found.shares[name]:.1f}"]
        row += [f"{found.moved[name]:.3f}" if name else "–"]
        row += [f"{100 * found.macro_recall[name]:.1f}"] if found.macro_recall else []
        row += (
            [f"{100 * found.explained[name]:.1f}" if name in found.explained else "–"]
            if found.explained
            else []
        )
        rows.append(row)
    kept = f", {len(found.skipped)} cannot be read" if found.skipped else ""
    heads = "" if found.explained else " The model has no heads that reconstruct."
    note = (
        f"{checkpoint.name}, {found.num_recordings} recordings{kept}. Without a group: its features are the mean of "
        f"the training, at test time only; how far embeddings move is a cosine distance, 0 to 2.{heads}"
    )
    with atomic_write(path) as file:
        content = {"title": "Groups of features", "header": header, "rows": rows, "note": note}
        json.dump(content, file, indent=1, ensure_ascii=False)
