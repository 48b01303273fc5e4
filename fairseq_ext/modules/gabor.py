"""Initial values of the first convolution: Gabor filters on the mel scale, trained from there on.

Zeghidour et al. 2018, "Learning Filterbanks from Raw Speech for Phone Recognition", section 2: filters in pairs of a
quarter period's difference, whose rectified outputs add up to a band's energy. With random filters most of a short
training is spent on finding a filterbank.

Shapes: O filters, K kernel in samples.
"""

import math

import torch
from torch import Tensor

from .spectral import hz_to_mel, mel_to_hz

# A filter's frequency depends on the sample rate; speech encoders work at 16 kHz.
SAMPLE_RATE_HZ = 16_000
LOWEST_HZ, HIGHEST_HZ = 60.0, 7_800.0
# Half a kernel is at least so many deviations of its Gaussian, which is below 5 % of the peak at the kernel's ends.
MOST_DEVIATIONS = 2.5


def gabor_filters(num_filters: int, kernel: int) -> Tensor:
    """Return filters (O, K) of unit energy, frequencies rising, the two of a pair side by side.

    Args:
        num_filters: O, even: half of them lag a quarter period behind the others.
        kernel: K, samples.

    Raises:
        ValueError: an odd number of filters.
    """
    if num_filters % 2:
        raise ValueError(
            f"conv_feature_layers: extractor_init=gabor needs an even number of channels in the first layer, found "
            f"{num_filters}; change one of them"
        )
    lowest, highest = hz_to_mel(torch.tensor([LOWEST_HZ, HIGHEST_HZ], dtype=torch.float64)).tolist()
    edges = mel_to_hz(torch.linspace(lowest, highest, num_filters // 2 + 2))
    centre = edges[1:-1] / SAMPLE_RATE_HZ  # cycles per sample
    width = (edges[2:] - edges[:-2]) / 2 / SAMPLE_RATE_HZ
    # Half of the peak where the neighbour's centre lies, but no longer than the kernel.
    deviation = (math.sqrt(2 * math.log(2)) / (2 * math.pi * width)).clamp(max=kernel / 2 / MOST_DEVIATIONS)
    time = torch.arange(kernel) - (kernel - 1) / 2
    envelope = (-0.5 * (time / deviation[:, None]).square()).exp()
    phase = 2 * math.pi * centre[:, None] * time
    filters = torch.stack([envelope * phase.cos(), envelope * phase.sin()], dim=1).flatten(0, 1)
    result: Tensor = filters / filters.norm(dim=1, keepdim=True)
    return result
