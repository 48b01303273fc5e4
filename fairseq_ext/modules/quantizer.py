"""Product quantisation with a Gumbel softmax: the targets of wav2vec 2.0.

Baevski et al. 2020, "wav2vec 2.0", section 2 (quantisation module), equation 1; Jang et al. 2016 for the Gumbel
softmax. State-dict keys are those of fairseq's `GumbelVectorQuantizer`: `vars` and `weight_proj.*`.

Shapes: N frames, C channels, G groups, V codes per group, d width of a code.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

# Keeps the logarithm of an unused code finite; as in fairseq, so that perplexities agree.
_TINY = 1e-7


@dataclass
class Quantized:
    """The codes of frames.

    Attributes:
        vectors: (N, G d), the chosen codes side by side.
        codes: (N, G), which code was chosen in each group.
        code_perplexity: scalar, how many codes are in use, counted by choices, summed over the groups.
        prob_perplexity: scalar, the same of the probabilities before noise; has a gradient.
    """

    vectors: Tensor
    codes: Tensor
    code_perplexity: Tensor
    prob_perplexity: Tensor


class GumbelQuantizer(nn.Module):
    """Quantiser that chooses a code per group: by Gumbel noise in training, the likeliest one in evaluation.

    Args:
        in_dim: C.
        num_codes: V.
        num_groups: G.
        out_dim: G d.
        temperature: temperature at the start and at the end, and its factor per update.

    Raises:
        ValueError: the groups do not divide the width, or a temperature that is not positive.
    """

    def __init__(
        self,
        in_dim: int,
        num_codes: int,
        num_groups: int,
        out_dim: int,
        temperature: tuple[float, float, float],
    ) -> None:
        super().__init__()
        if out_dim % num_groups:
            raise ValueError(
                f"latent_groups: {num_groups} does not divide the width of the quantised frames ({out_dim}, from "
                "latent_dim, or final_dim if that is 0); change one of them"
            )
        if min(temperature) <= 0:
            raise ValueError(
                f"latent_temp: start, end and factor above 0 expected, found {tuple(temperature)}; change it"
            )
        self.num_codes, self.num_groups = num_codes, num_groups
        self.temperature_start, self.temperature_end, self.temperature_factor = temperature
        self.temperature = self.temperature_start
        # Around 0, where fairseq starts them in the unit cube: there all are much alike, and a small model spends
        # hundreds of updates on separating them.
        self.vars = nn.Parameter(torch.randn(1, num_groups * num_codes, out_dim // num_groups))
        self.weight_proj = nn.Linear(in_dim, num_groups * num_codes)
        # As fairseq starts it: wide logits on normalised frames, so that many codes are in use from the first update.
        nn.init.normal_(self.weight_proj.weight)
        nn.init.zeros_(self.weight_proj.bias)

    @property
    def num_vars(self) -> int:
        """Return the number of all codes, G V: the largest perplexity."""
        return self.num_groups * self.num_codes

    def set_num_updates(self, num_updates: int) -> None:
        """Cool down to the temperature of this update (called by fairseq)."""
        cooled = self.temperature_start * self.temperature_factor**num_updates
        self.temperature = max(cooled, self.temperature_end)

    def forward(self, frames: Tensor, generator: Generator | None = None) -> Quantized:
        """Choose codes for frames (N, C); `generator`, on their device, draws the noise; None = torch's own."""
        logits = self.weight_proj(frames).unflatten(1, (self.num_groups, -1)).float()  # (N, G, V)
        likeliest = logits.argmax(2)  # (N, G)
        count = max(len(frames), 1)  # nothing is masked in a batch of clips too short for it
        shares = F.one_hot(likeliest, self.num_codes).float().sum(0) / count  # (G, V)
        chosen = (
            self._with_noise(logits, generator) if self.training else F.one_hot(likeliest, self.num_codes)
        )
        codes = chosen.argmax(2) if self.training else likeliest
        book = self.vars.view(self.num_groups, self.num_codes, -1)  # (G, V, d)
        vectors = chosen.to(book).transpose(0, 1) @ book  # (G, N, d)
        return Quantized(
            vectors.transpose(0, 1).flatten(1),
            codes,
            perplexity(shares).sum(),
            perplexity(logits.softmax(2).sum(0) / count).sum(),
        )

    def _with_noise(self, logits: Tensor, generator: Generator | None) -> Tensor:
        """Choose one of V, with the gradient of the soft choice (Jang et al. 2016, section 2.2)."""
        # Minus the logarithm of exponential noise is Gumbel noise.
        noise = -torch.empty_like(logits).exponential_(generator=generator).log()
        soft = ((logits + noise) / self.temperature).softmax(2)
        hard = F.one_hot(soft.argmax(2), self.num_codes).to(soft)
        return hard + (soft - soft.detach())  # straight-through: the bracket is 0, and has the gradient


def perplexity(shares: Tensor) -> Tensor:
    """Return how many codes are in use, 1 to V per group: the exponential of the entropy of `shares`, (G, V)."""
    return (-(shares * (shares + _TINY).log()).sum(1)).exp()
