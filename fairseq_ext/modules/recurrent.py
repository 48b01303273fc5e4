"""Recurrent encoders: of whole clips, which `ext_rnn` and `ext_lstm` share, and of frames.

Shapes: B batch, T frames, F features, H hidden width.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .padding import strided_lengths
from .pooling import StatisticsPooling

CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentEncoder(nn.Module):
    """Stacked frames -> bidirectional recurrent layers -> statistics over time.

    Pooling over all steps, and not the last state alone, is what lets a plain RNN train: each step then has a
    short way to the loss, so the gradient does not have to survive the whole clip.

    Args:
        cell: "rnn" or "lstm".
        num_features: F.
        hidden: H, per direction.
        num_layers: recurrent layers.
        frame_stack: consecutive frames joined into one step.
        dropout: dropout on the input of every layer and on the output; a probability.
    """

    def __init__(
        self, cell: str, num_features: int, hidden: int, num_layers: int, frame_stack: int, dropout: float
    ) -> None:
        super().__init__()
        self.frame_stack = frame_stack
        self.input = nn.Sequential(
            nn.Linear(num_features * frame_stack, hidden), nn.LayerNorm(hidden), nn.ReLU()
        )
        widths = [hidden] + [2 * hidden] * (num_layers - 1)
        self.layers = nn.ModuleList(
            CELLS[cell](width, hidden, batch_first=True, bidirectional=True) for width in widths
        )
        self.norms = nn.ModuleList(nn.LayerNorm(2 * hidden) for _ in widths)
        self.dropout = nn.Dropout(dropout)
        self.pooling = StatisticsPooling()
        self.out_dim = self.pooling.out_dim(2 * hidden)
        _orthogonal_recurrence(self.layers)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Encode a padded batch (B, T, F) of clips of (B,) frames: (B, 6 H)."""
        frames, lengths = stack_frames(features, lengths, self.frame_stack)
        frames = self.input(frames)  # (B, T', H)
        steps = lengths.clamp(min=1)  # packing refuses empty clips, and takes lengths on the CPU only
        for layer, norm in zip(self.layers, self.norms, strict=True):
            packed = pack_padded_sequence(
                self.dropout(frames), steps.cpu(), batch_first=True, enforce_sorted=False
            )
            frames, _ = pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=frames.shape[1])
            frames = norm(frames)  # (B, T', 2 H)
        result: Tensor = self.pooling(self.dropout(frames), steps)
        return result


class RecurrentFrames(nn.Module):
    """Bidirectional recurrent layers: as many frames out as in, of width 2 H.

    Args:
        cell: a key of `CELLS`.
        num_features: F.
        hidden: H, per direction.
        num_layers: recurrent layers.
        dropout: dropout on the input of every layer and on the output; a probability.
    """

    def __init__(self, cell: str, num_features: int, hidden: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        widths = [num_features] + [2 * hidden] * (num_layers - 1)
        self.layers = nn.ModuleList(
            CELLS[cell](width, hidden, batch_first=True, bidirectional=True) for width in widths[:num_layers]
        )
        self.dropout = nn.Dropout(dropout)
        self.out_dim = 2 * hidden if num_layers else num_features
        _orthogonal_recurrence(self.layers)

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode frames (B, T, F) of clips of (B,) frames, None = all; 0 beyond a clip's end."""
        for layer in self.layers:
            frames = self.dropout(frames)
            if lengths is None:
                frames = layer(frames)[0]
                continue
            steps = lengths.clamp(
                min=1
            ).cpu()  # packing refuses empty clips, and takes lengths on the CPU only
            packed = pack_padded_sequence(frames, steps, batch_first=True, enforce_sorted=False)
            frames, _ = pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=frames.shape[1])
        result: Tensor = self.dropout(frames)
        return result


def stack_frames(features: Tensor, lengths: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Join groups of `size` consecutive frames; the last group is filled with zeros.

    Args:
        features: (B, T, F), 0 beyond each clip's end.
        lengths: (B,), frames.
        size: frames per group.

    Returns:
        (B, ceil(T / size), size F), and the numbers of groups (B,).
    """
    num_clips, num_frames, width = features.shape
    features = nn.functional.pad(features, (0, 0, 0, -num_frames % size))
    return features.reshape(num_clips, -1, size * width), strided_lengths(lengths, size)


def _orthogonal_recurrence(layers: nn.Module) -> None:
    """Start hidden-to-hidden weights as rotations, which neither shrink nor blow up (Saxe et al. 2014)."""
    for name, parameter in layers.named_parameters():
        if ".weight_hh" in name:  # (gates H, H)
            for gate in parameter.data.split(parameter.shape[1]):
                nn.init.orthogonal_(gate)
