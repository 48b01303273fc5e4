"""A multi-layer perceptron with dropout on embeddings; scikit-learn's has no dropout.

Legend: B batch, R columns of the vectors, H hidden units, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .types import Arrays, ClassifierType, Floats, Ints, Parameters, class_weights

NUM_HIDDEN = 128
BATCH_SIZE = 128
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.01
# Epochs at which the held-out speakers are scored; the network is trained once, to the last.
EPOCHS = (10, 15, 20, 30)
DROPOUTS = (0.5, 0.7)


class MlpModel:
    """A trained network: arrays `weight1` (H, R), `bias1` (H,), `weight2` (C, H), `bias2` (C,)."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    def scores(self, vectors: Floats) -> Floats:
        """Return logits (M, C)."""
        a = self.arrays
        hidden = np.maximum(vectors @ a["weight1"].T + a["bias1"], 0)
        return np.asarray(hidden @ a["weight2"].T + a["bias2"], dtype=np.float32)


def _train(
    vectors: Floats, targets: Ints, num_classes: int, dropout: float, seed: int, epochs: tuple[int, ...]
) -> Iterator[tuple[int, MlpModel]]:
    """Train to the last of some epochs; yield the network after each of them."""
    import torch

    # The columns are rotated, the first ones vary most; one scale for all keeps their order.
    scale = np.float32(1 / max(float(np.sqrt(vectors.var(0).sum() / vectors.shape[1])), 1e-12))
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # the caller's random state stays as it is
        torch.manual_seed(seed)
        network = torch.nn.Sequential(
            torch.nn.Dropout(dropout / 2),
            torch.nn.Linear(vectors.shape[1], NUM_HIDDEN),
            torch.nn.ReLU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(NUM_HIDDEN, num_classes),
        )
        optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        x, y = torch.from_numpy(vectors * scale), torch.from_numpy(targets)
        weight = torch.from_numpy(class_weights(targets))
        present = np.isin(np.arange(num_classes), targets)
        for epoch in range(1, max(epochs) + 1):
            for rows in torch.randperm(len(x), generator=generator).split(BATCH_SIZE):
                losses = torch.nn.functional.cross_entropy(network(x[rows]), y[rows], reduction="none")
                optimizer.zero_grad()
                (losses * weight[rows]).mean().backward()
                optimizer.step()
            if epoch in epochs:
                yield epoch, _model(network, scale, present)


def _model(network: Any, scale: np.float32, present: NDArray[np.bool_]) -> MlpModel:
    first, second = network[1], network[4]
    tensors = {"weight1": first.weight, "bias1": first.bias, "weight2": second.weight, "bias2": second.bias}
    arrays = {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}
    arrays["weight1"] *= scale
    arrays["bias2"][~present] = -np.inf
    return MlpModel(arrays)


def fit(vectors: Floats, targets: Ints, num_classes: int, parameters: Parameters, seed: int) -> MlpModel:
    """Train for `epochs` with `dropout`; the first layer's input is dropped out half as often."""
    epochs = int(parameters["epochs"])
    return next(
        model for _, model in _train(vectors, targets, num_classes, parameters["dropout"], seed, (epochs,))
    )


def path(
    vectors: Floats, targets: Ints, held_out: Floats, num_classes: int, seed: int
) -> Iterator[tuple[Parameters, Floats]]:
    """Train once for each dropout and score at every number of epochs."""
    for dropout in DROPOUTS:
        for epoch, model in _train(vectors, targets, num_classes, dropout, seed, EPOCHS):
            yield {"dropout": dropout, "epochs": epoch}, model.scores(held_out)


MLP = ClassifierType(
    "mlp",
    {"dropout": 0.5, "epochs": 20},
    fit,
    path,
    MlpModel,
    {"weight1": 2, "bias1": 1, "weight2": 2, "bias2": 1},
)
