"""Standardisation of vectors by averages that training keeps.

Shapes: B batch, P width.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class Standardize(nn.BatchNorm1d):
    """Batch norm without weights; a batch of one clip, which has no variance, takes the averages."""

    def __init__(self, width: int) -> None:
        super().__init__(width, affine=False)
        count_batches_in_float(self)

    def forward(self, vectors: Tensor) -> Tensor:
        """Bring each column of (B, P) to mean 0 and variance 1."""
        if self.training and len(vectors) < 2:
            return F.batch_norm(vectors, self.running_mean, self.running_var, eps=self.eps)
        return super().forward(vectors)


def count_batches_in_float(model: nn.Module) -> None:
    """Let fairseq average the model (EMA): it scales every buffer, which fails on batch norm's integer counter."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.num_batches_tracked is not None:
            module.num_batches_tracked = module.num_batches_tracked.float()
