"""`AvFrontEnd`: pictures of a mouth, sound, or both, to one vector per frame: the input of a transformer or conformer.

Shi et al. 2022, "Learning audio-visual speech representation by masked multimodal cluster prediction", section 3.1:
both streams are projected to the same width, joined (or added), normalised, projected. A stream that is missing, for a
clip or altogether, is zeros; modality dropout leaves one out on purpose, so that the network learns to do with either.
State-dict keys below `front_end` are those that public checkpoints have at their top (`av_hubert_keys.py`).

Shapes: B clips, T frames at 25 Hz, H W crop, A audio features of a frame, D width.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from .audio_front_end import AudioFrontEnd
from .lip_front_end import LipFrontEnd, LipFrontEndConfig
from .masking import draw_uniform
from .products import Linear

FUSIONS = ("concat", "add")
MODALITIES = ("video", "audio", "both")


def trained_modality(network: str, task: str) -> str:
    """Return the streams that a network has learnt to take, where its training's task read `task` of each clip.

    One with places for both, such as AV-HuBERT's, may be trained on pictures alone: sound is noise to it.
    """
    return task if network == "both" else network


@dataclass
class AvFrontEndConfig(LipFrontEndConfig):
    """Keys of the front end for pictures and sound."""

    encoder_embed_dim: int = field(default=768, metadata={"help": "D, width of the frames"})
    modality: str = field(
        default="both", metadata={"help": "what the network is built for: video, audio or both"}
    )
    audio_feat_dim: int = field(
        default=104, metadata={"help": "A, audio features of a frame: 4 stacked frames of 26 bands"}
    )
    modality_fuse: str = field(default="concat", metadata={"help": "how the streams meet: concat, add"})
    modality_dropout: float = field(
        default=0.0, metadata={"help": "probability that training leaves out a stream of a clip"}
    )
    audio_dropout: float = field(
        default=0.5, metadata={"help": "probability that the stream left out is the sound; a probability"}
    )
    front_end_dropout: float = field(
        default=0.0, metadata={"help": "dropout of the frames that leave the front end; a probability"}
    )


class AvFrontEnd(nn.Module):
    """Video and audio to fused frames.

    Attributes:
        out_dim: D.

    Raises:
        ValueError: an unknown modality or fusion, a probability outside 0 to 1.
    """

    def __init__(self, config: AvFrontEndConfig) -> None:
        super().__init__()
        _check(config)
        self.config, self.out_dim = config, config.encoder_embed_dim
        self.feature_extractor_video = (
            nn.ModuleDict(_video_parts(config)) if config.modality != "audio" else None
        )
        self.feature_extractor_audio = (
            AudioFrontEnd(config.audio_feat_dim, self.out_dim) if config.modality != "video" else None
        )
        fused = self.out_dim * (2 if config.modality_fuse == "concat" else 1)
        self.layer_norm = nn.LayerNorm(fused)
        self.post_extract_proj = Linear(fused, self.out_dim) if fused != self.out_dim else None
        self.dropout = nn.Dropout(config.front_end_dropout)

    def forward(
        self,
        video: Tensor | None = None,
        audio: Tensor | None = None,
        padding_mask: Tensor | None = None,
        seeds: Tensor | None = None,
    ) -> Tensor:
        """Fuse the streams of clips.

        Args:
            video: (B, 1, T, H, W); None = missing. Ignored by a network without pictures.
            audio: (B, A, T); None = missing. Ignored by a network without sound.
            padding_mask: (B, T) bool, True = padding; None = none.
            seeds: (B,) int64, by which training drops streams; None = drawn.

        Returns:
            (B, T, D).

        Raises:
            ValueError: neither stream is there that the network takes.
        """
        video = video if self.feature_extractor_video is not None else None
        audio = audio if self.feature_extractor_audio is not None else None
        given = video if video is not None else audio
        if given is None:
            raise ValueError(
                f"model.modality={self.config.modality}: the batch holds no stream of it; set task.modality accordingly"
            )
        num_clips, num_frames = len(given), given.shape[2]
        keep_video, keep_audio = self._keep(num_clips, seeds, given.device, video, audio)
        lengths = None if padding_mask is None else (~padding_mask).sum(1)
        streams = [
            self._see(video, lengths, keep_video, num_frames),
            self._hear(audio, keep_audio),
        ]
        frames = self.layer_norm(self._fuse(streams, num_clips, num_frames))
        if self.post_extract_proj is not None:
            frames = self.post_extract_proj(frames)
        result: Tensor = self.dropout(frames)
        return result

    def _keep(
        self,
        num_clips: int,
        seeds: Tensor | None,
        device: torch.device,
        video: Tensor | None,
        audio: Tensor | None,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Draw the clips (B,) bool that keep their pictures and their sound; None = all."""
        if not self.training or not self.config.modality_dropout or video is None or audio is None:
            return None, None
        if seeds is None:
            seeds = torch.randint(2**62, (num_clips,), device=device)
        dropped = draw_uniform(seeds, "drop a stream") < self.config.modality_dropout
        sound = draw_uniform(seeds, "which stream") < self.config.audio_dropout
        return (~(dropped & ~sound)).to(device), (~(dropped & sound)).to(device)

    def _see(
        self, video: Tensor | None, lengths: Tensor | None, keep: Tensor | None, num_frames: int
    ) -> Tensor | None:
        """Return the pictures' vectors (B, T, D), zeros for clips that do not keep them; they cost no time."""
        if video is None or self.feature_extractor_video is None:
            return None
        seen = lengths
        if keep is not None:
            whole = lengths if lengths is not None else torch.full_like(keep, num_frames, dtype=torch.long)
            seen = whole * keep
            # Batch norm needs a frame: if no clip keeps its pictures, the first is seen and does not count.
            seen[0] = torch.where(seen.any(), seen[0], whole[0])
        vectors = self.feature_extractor_video["proj"](self.feature_extractor_video["resnet"](video, seen))
        result: Tensor = vectors if keep is None else torch.where(keep[:, None, None], vectors, 0.0)
        return result

    def _hear(self, audio: Tensor | None, keep: Tensor | None) -> Tensor | None:
        if audio is None or self.feature_extractor_audio is None:
            return None
        vectors: Tensor = self.feature_extractor_audio(audio)
        return vectors if keep is None else torch.where(keep[:, None, None], vectors, 0.0)

    def _fuse(self, streams: list[Tensor | None], num_clips: int, num_frames: int) -> Tensor:
        """Join (audio first, as in AV-HuBERT) or add the streams: (B, T, 2 D) or (B, T, D)."""
        there = [stream for stream in streams if stream is not None]
        if self.config.modality_fuse == "add":
            return there[0] if len(there) == 1 else there[0] + there[1]
        zeros = there[0].new_zeros(num_clips, num_frames, self.out_dim)
        video, audio = (zeros if stream is None else stream for stream in streams)
        return torch.cat([audio, video], dim=2)


def _video_parts(config: AvFrontEndConfig) -> dict[str, nn.Module]:
    resnet = LipFrontEnd.from_config(config)
    return {"resnet": resnet, "proj": Linear(resnet.out_dim, config.encoder_embed_dim)}


def _check(config: AvFrontEndConfig) -> None:
    for name, found, known in (
        ("modality", config.modality, MODALITIES),
        ("modality_fuse", config.modality_fuse, FUSIONS),
    ):
        if found not in known:
            raise ValueError(f"model.{name}: one of {', '.join(known)} expected, found {found!r}; change it")
    for name in ("modality_dropout", "audio_dropout"):
        if not 0.0 <= getattr(config, name) <= 1.0:
            raise ValueError(
                f"model.{name}: 0 to 1 expected, found {getattr(config, name)}; it is a probability"
            )
