"""`ext_rnn`: bidirectional RNN over log-mel frames, statistics over time, linear classifier."""

from dataclasses import dataclass, field
from typing import Any

from fairseq.models import register_model

from ..modules.recurrent import RecurrentEncoder
from ._utterance_model import UtteranceModel, UtteranceModelConfig


@dataclass
class RnnConfig(UtteranceModelConfig):
    """Keys of the RNN."""

    hidden_dim: int = field(default=64, metadata={"help": "width of each direction"})
    num_layers: int = field(default=1, metadata={"help": "recurrent layers"})
    frame_stack: int = field(default=2, metadata={"help": "consecutive frames joined into one step"})
    encoder_dropout: float = field(default=0.1, metadata={"help": "dropout between layers; a probability"})


@register_model("ext_rnn", dataclass=RnnConfig)
class Rnn(UtteranceModel):
    """Recurrent classifier."""

    @classmethod
    def make_encoder(cls, config: Any, num_features: int) -> RecurrentEncoder:
        """See `UtteranceModel.make_encoder`."""
        return RecurrentEncoder(
            "rnn",
            num_features,
            config.hidden_dim,
            config.num_layers,
            config.frame_stack,
            config.encoder_dropout,
        )
