"""The training utterances of a partition, with everything that a choice may look at, and nothing else.

Layers, poolings and settings are chosen by folds of whole training speakers (nested cross-validation); the rows of the
test speakers are not among these arrays, so no choice can depend on them.

Speakers' offsets stay in the vectors, unlike in `linear_probe`: on RAVDESS (Whisper base, 6 folds of 4 actors) taking
them out changed the macro recall of layer 3 from 73.5 to 73.6, that of layers 1 to 5 side by side from 76.9 to 75.0.

Legend: N training utterances, D embedding width, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...optional import import_optional
from ..embedding_files import JOIN, EmbeddingFile
from .scaling import Scaling, VectorKind
from .types import Floats, Ints

Bools = NDArray[np.bool_]
MAX_INNER_FOLDS = 5


@dataclass(frozen=True)
class Feature:
    """The columns of an embedding that a classifier reads: layers side by side, and of each poolings side by side."""

    layers: tuple[int, ...]
    pooling: str

    @property
    def layer(self) -> int | str:
        """Number of the layer, or the numbers of several, such as 2+3+4."""
        return self.layers[0] if len(self.layers) == 1 else JOIN.join(map(str, self.layers))

    @classmethod
    def parse(cls, layer: int | str, pooling: str) -> Feature:
        """Return the feature of a `layer` as it is written, and a pooling."""
        return cls(tuple(int(number) for number in str(layer).split(JOIN)), pooling)

    def columns(self, embeddings: EmbeddingFile) -> Floats:
        """Return the vectors (N, D) of all recordings of a file."""
        return np.concatenate([embeddings.columns(layer, self.pooling) for layer in self.layers], axis=1)


@dataclass(frozen=True)
class InnerFold:
    """Scaled vectors of the training speakers but a few, and of those few, with the positions of both."""

    vectors: Floats
    held_out: Floats
    is_held_out: Bools


@dataclass(frozen=True)
class TrainingSet:
    """Training utterances.

    Attributes:
        columns: returns the embeddings (N, D) of a feature.
        targets: classes, (N,).
        speakers: speakers, (N,); whole speakers are held out. Empty = the speaker is the class: utterances are.
        num_classes: number of classes, C.
        seed: seed of the folds and classifiers.
    """

    columns: Callable[[Feature], Floats]
    targets: Ints
    speakers: Sequence[str]
    num_classes: int
    seed: int
    _cache: dict[tuple[Feature, VectorKind], list[InnerFold]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def folds(self) -> list[Bools]:
        """Return which utterances are held out in each inner fold; none where a single speaker cannot be."""
        selection = import_optional("sklearn.model_selection")
        if not self.speakers:
            most = int(min(MAX_INNER_FOLDS, np.bincount(self.targets)[np.unique(self.targets)].min()))
            if most < 2:
                return []
            splitter = selection.StratifiedKFold(most, shuffle=True, random_state=self.seed)
            splits = splitter.split(self.targets, self.targets)
        else:
            # scikit-learn refuses more folds than the largest class has members.
            number = min(MAX_INNER_FOLDS, len(set(self.speakers)), int(np.bincount(self.targets).max()))
            if number < 2:
                return []
            splits = _by_speaker(self.speakers, self.targets, number, self.seed)
        found = [np.isin(np.arange(len(self.targets)), held_out) for _, held_out in splits]
        # A fold whose speakers alone have a class leaves nothing to learn it from, or a single class.
        return [held_out for held_out in found if len(set(self.targets[~held_out].tolist())) > 1]

    def inner(self, feature: Feature, kind: VectorKind = "components") -> list[InnerFold]:
        """Return the inner folds with the scaled vectors of a feature; those of the last one are kept."""
        if (feature, kind) not in self._cache:
            embedding = self.columns(feature)
            self._cache.clear()  # 40 MB each at 1,200 utterances
            self._cache[feature, kind] = [self._fold(embedding, held_out, kind) for held_out in self.folds()]
        return self._cache[feature, kind]

    def _fold(self, embedding: Floats, held_out: Bools, kind: VectorKind) -> InnerFold:
        scaling, vectors = self._scaled(embedding, ~held_out, kind)
        return InnerFold(vectors, scaling(embedding[held_out]), held_out)

    def scaled(self, feature: Feature, kind: VectorKind = "components") -> tuple[Scaling, Floats]:
        """Fit the scaling on all training utterances; return it and their vectors."""
        return self._scaled(self.columns(feature), np.ones(len(self.targets), dtype=bool), kind)

    def _scaled(self, embedding: Floats, rows: Bools, kind: VectorKind) -> tuple[Scaling, Floats]:
        learnt = embedding[rows]
        scaling = Scaling.fit(learnt, kind)
        return scaling, scaling(learnt)


def _by_speaker(
    speakers: Sequence[str], targets: Ints, number: int, seed: int
) -> Iterator[tuple[Ints, Ints]]:
    """Split into folds of whole speakers with about the same classes in each."""
    import warnings

    splitter = import_optional("sklearn.model_selection").StratifiedGroupKFold(
        number, shuffle=True, random_state=seed
    )
    with warnings.catch_warnings():  # of a class with fewer utterances than folds
        warnings.simplefilter("ignore", UserWarning)
        yield from splitter.split(targets, targets, np.asarray(speakers))
