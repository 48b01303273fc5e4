"""Classify a recording with a trained model.

    trained = load_model("checkpoint_best.pt")
    print(classify(trained, audio.load("seven.wav", sample_rate_hz=trained.sample_rate_hz)))

Shapes: S samples, C classes.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from ..scoring.trained import TrainedModel


def classify(trained: TrainedModel, waveform: NDArray[np.float32]) -> dict[str, float]:
    """Return the probability of each class of one recording, (S,) at the model's sample rate, the likeliest first.

    Raises:
        ValueError: the model has no classifier.
    """
    if not trained.labels:
        raise ValueError("classify: this model is pre-trained and has no classes; fine-tune it first")
    probabilities = class_probabilities(trained, waveform).tolist()
    return dict(sorted(zip(trained.labels, probabilities, strict=True), key=lambda pair: -pair[1]))


@torch.no_grad()
def class_probabilities(trained: TrainedModel, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probabilities (C,) of one recording, (S,) at the model's sample rate, in the order of its classes."""
    device = next(trained.model.parameters()).device
    logits = trained.model(torch.from_numpy(waveform)[None].to(device))["logits"]  # (1, C)
    found: NDArray[np.float32] = logits.float().softmax(1)[0].cpu().numpy()
    return found
