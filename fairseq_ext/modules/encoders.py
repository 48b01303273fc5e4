"""The encoders that our models start from, chosen by one key: `SpeechEncoder`, or that of Whisper.

Both have the same methods, so that models, recogniser and features need not know which they have.
"""

from dataclasses import dataclass, field

from .speech_encoder import SpeechEncoder, SpeechEncoderConfig
from .whisper_encoder import WhisperEncoder

Encoder = SpeechEncoder | WhisperEncoder
TYPES = ("speech", "whisper")


@dataclass
class EncoderConfig(SpeechEncoderConfig):
    """Keys of an encoder of any type."""

    encoder_type: str = field(
        default="speech",
        metadata={
            "help": "speech = wav2vec 2.0, HuBERT, WavLM; whisper = Whisper's, which takes 30 s at most and has no "
            "use for the keys of convolutions and relative positions"
        },
    )
    num_mels: int = field(default=80, metadata={"help": "mel bands of Whisper's spectrogram; large-v3: 128"})


def build_encoder(config: EncoderConfig) -> Encoder:
    """Build an encoder.

    Raises:
        ValueError: an unknown type.
    """
    if config.encoder_type not in TYPES:
        raise ValueError(
            f"encoder_type: one of {', '.join(TYPES)} expected, found {config.encoder_type!r}; change it"
        )
    if config.encoder_type == "whisper":
        return WhisperEncoder(config, config.num_mels)
    return SpeechEncoder(config)
