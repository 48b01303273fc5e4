"""Classifiers of embeddings as files: plain arrays and a JSON file, so that reading one runs nobody's code.

    about.json       encoder and its hash, classes, and of each member the feature, the settings, the temperature
    classifier.npz   the members' arrays; trees are XGBoost's own UBJSON in an array of bytes

The hash of the arrays is in about.json: a file that was changed or damaged is refused.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...file_errors import FileError, reading
from ...files import write_bytes
from ..scored_system import read_json, write_json
from . import CLASSIFIERS
from .fitted import SCALING_ARRAYS, EmbeddingClassifier, Member
from .scaling import Scaling
from .training_set import Feature

FORMAT = 1
ABOUT, ARRAYS = "about.json", "classifier.npz"
_ADVICE = "save the classifier again (fairseq-ext score embeddings --save)"


@dataclass(frozen=True)
class SavedClassifier:
    """A classifier and what its vectors are made by.

    Attributes:
        classifier: the classifier.
        encoder: path of the encoder, or the name of features without one.
        about: the whole about.json, with `encoder_sha256`, `sample_rate_hz`, `layers` and `poolings` of the encoder.
    """

    classifier: EmbeddingClassifier
    encoder: str
    about: Mapping[str, Any]

    def check_encoder(self, place: str | os.PathLike[str], sha256: str | None, folder: Path) -> None:
        """Raise FileError if an encoder has other weights than the one that the classifier of `folder` read."""
        expected = self.about.get("encoder_sha256")
        if sha256 != expected:
            raise FileError(
                f"{place}: its weights are not those that the classifier {folder} was fitted with (sha256 "
                f"{sha256}, {expected} expected); give that encoder"
            )


def save(folder: Path, classifier: EmbeddingClassifier, about: Mapping[str, Any]) -> None:
    """Write the folder, about.json last.

    Args:
        about: `encoder`, `encoder_sha256`, `sample_rate_hz` of what makes the vectors, and anything else.
    """
    content = io.BytesIO()
    arrays: dict[str, Any] = {
        f"{number}/{name}": array
        for number, member in enumerate(classifier.members)
        for name, array in member.arrays().items()
    }
    np.savez(content, **arrays)
    (folder / ABOUT).unlink(missing_ok=True)
    write_bytes(folder / ARRAYS, content.getvalue())
    own = {
        "format": FORMAT,
        "labels": list(classifier.labels),
        "temperature": classifier.temperature,
        "members": [_described(member) for member in classifier.members],
        "arrays_sha256": hashlib.sha256(content.getvalue()).hexdigest(),
    }
    write_json(folder / ABOUT, {**about, **own})


def _described(member: Member) -> dict[str, Any]:
    return {
        "classifier": member.classifier.name,
        "layer": member.feature.layer,
        "pooling": member.feature.pooling,
        "parameters": dict(member.parameters),
        "temperature": member.temperature,
    }


def is_saved(folder: Path) -> bool:
    """Return whether a folder holds a saved classifier."""
    return (folder / ABOUT).is_file() and (folder / ARRAYS).is_file()


def load(folder: Path) -> SavedClassifier:
    """Read a saved classifier.

    Raises:
        FileError: a file is missing, was changed, is damaged, or is of another format.
    """
    about = read_json(folder / ABOUT, _ADVICE)
    with reading(folder / ABOUT, "the description of a saved classifier", advice=_ADVICE):
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']}, {FORMAT} expected")
        labels, encoder = tuple(map(str, about["labels"])), str(about["encoder"])
        temperature = float(about["temperature"])
    with reading(folder / ARRAYS, "the arrays of a saved classifier", advice=_ADVICE):
        content = (folder / ARRAYS).read_bytes()
        if hashlib.sha256(content).hexdigest() != about["arrays_sha256"]:
            raise ValueError(f"its hash is not the one in {ABOUT}: one of the two was changed")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            members = tuple(
                _member(described, {name: arrays[name] for name in arrays.files}, f"{number}/", len(labels))
                for number, described in enumerate(about["members"])
            )
        if not members:
            raise ValueError("no classifier in it")
    return SavedClassifier(EmbeddingClassifier(labels, members, temperature), encoder, about)


def _member(
    described: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], prefix: str, num_classes: int
) -> Member:
    classifier = CLASSIFIERS[described["classifier"]]
    is_rotated = classifier.reads == "components"
    wanted = {name: dims for name, dims in SCALING_ARRAYS.items() if name != "rotation" or is_rotated}
    scaling = {name: _checked(arrays[prefix + name], dims, name) for name, dims in wanted.items()}
    model = {
        name: _checked(arrays[f"{prefix}model/{name}"], dims, name)
        for name, dims in classifier.dimensions.items()
    }
    member = Member(
        Feature.parse(described["layer"], str(described["pooling"])),
        classifier,
        dict(described["parameters"]),
        float(described["temperature"]),
        Scaling(scaling["mean"], scaling["weight"], scaling.get("rotation")),
        classifier.model(model),
    )
    _try(member, num_classes)
    return member


def _checked(array: NDArray[Any], dimensions: int, name: str) -> NDArray[Any]:
    if array.ndim != dimensions or array.dtype.kind not in "fiu":
        raise ValueError(
            f"{name} has shape {array.shape} of {array.dtype}, {dimensions} dimensions of numbers expected"
        )
    return array


def _try(member: Member, num_classes: int) -> None:
    """Classify a vector of zeros: arrays that do not fit together, or give other classes, are refused here."""
    zeros = np.zeros((1, len(member.scaling.mean)), dtype=np.float32)
    try:
        found = member.log_probs(lambda _: zeros)
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(f"its arrays do not fit together ({error})") from error
    if found.shape != (1, num_classes) or np.isnan(found).any():
        raise FileError(f"scores {found.shape} without NaN of {num_classes} classes expected")
