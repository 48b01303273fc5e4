"""Babble, several voices at once, and how a noise is mixed with speech at a given ratio.

Shapes: S samples.
"""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

# Reads a waveform (S,) of one source by its number.
Read = Callable[[int], Tensor]


def babble(
    num_samples: int, read: Read, num_sources: int, voices: int, generator: Generator, without: int = -1
) -> Tensor:
    """Add up voices of equal power to a noise (S,).

    Args:
        num_samples: S.
        read: reads one of the sources; none may be empty, a silent one adds nothing.
        num_sources: how many there are to draw from.
        voices: how many are drawn, perhaps some of them twice; no more than there are.
        generator: seeded by the caller; the same state gives the same.
        without: number of the source that is never drawn; -1 = none.

    Raises:
        ValueError: there is no source to draw from.
    """
    others = num_sources - (0 <= without < num_sources)
    if others < 1:
        raise ValueError(
            "babble: clips beside the one itself expected, found none; train with a folder of noise "
            "(task.noise.noise_source), score a split of several clips"
        )
    total = torch.zeros(num_samples)
    for _ in range(min(voices, others)):
        number = int(torch.randint(others, (), generator=generator))
        number += 0 <= without <= number
        voice = fitted(read(number), num_samples, generator)
        total += voice / voice.square().mean().sqrt().clamp(min=1e-5)
    return total


def fitted(noise: Tensor, num_samples: int, generator: Generator) -> Tensor:
    """Return a stretch (S,) of a noise from a random place, repeated where it is too short."""
    start = int(torch.randint(len(noise), (), generator=generator))
    repeated = noise.roll(-start).repeat(math.ceil(num_samples / len(noise)))
    return repeated[:num_samples]


def mix(waveform: Tensor, noise: Tensor, snr_db: float) -> Tensor:
    """Add noise (S,) to a waveform (S,) so that the ratio of their mean powers is `snr_db`.

    Silence has no ratio: with a silent waveform or a silent noise nothing is added.
    """
    signal, disturbance = waveform.square().mean(), noise.square().mean()
    if float(signal) == 0 or float(disturbance) == 0:
        return waveform
    scale = torch.sqrt(signal / disturbance * 10.0 ** (-snr_db / 10.0))
    return waveform + noise * scale
