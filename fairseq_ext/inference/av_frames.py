"""Compute the features of a layer of an AV-HuBERT, frame by frame, for `features.dump`: 25 a second, one per picture.

Shapes: T frames at 25 Hz, D width of the encoder.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoints.devices import check_device
from ..data.av_augment import PictureConfig, PictureTransform
from ..data.av_dataset import AvDataset
from ..data.av_rows import AvRows
from ..data.packed_clips import DecodedClips
from ..features.dump import Features, Floats
from ..file_errors import FileError
from ..media.audio import AudioError
from ..media.video import VideoError
from ..models.av_hubert import AvHubertConfig, ExtAvHubert
from ..modules.av_encoder_input import MODALITIES, trained_modality
from ..modules.av_hubert_keys import NAME, read_av_checkpoint
from ..modules.checkpoint_file import checkpoint_weights


def is_av_hubert(path: Path) -> bool:
    """Return whether a file holds an `ext_av_hubert`, or a public AV-HuBERT; a folder does not."""
    if not path.is_file():
        return False
    from .. import compat  # noqa: F401 - lets torch read the file

    return bool(_model_keys(read_av_checkpoint(path)).get("_name") == NAME)


class AvFrames:
    """A layer of an AV-HuBERT: 0 is what enters the first transformer layer, 1 what the first gives, and so on.

    Args:
        path: the checkpoint.
        layer: number of the layer.
        device: torch device.
        modality: what it is given of a clip; what was trained on one stream takes that one.

    Attributes:
        wanted: streams that are read of a clip.
        crop_px: side of the pictures it was trained on.

    Raises:
        ValueError: no such layer or device.
    """

    def __init__(self, path: Path, layer: int, device: str = "cpu", modality: str = "both") -> None:
        check_device(device)
        state = read_av_checkpoint(path)
        keys, weights = _model_keys(state), checkpoint_weights(state)
        known = {item.name for item in fields(AvHubertConfig)} - {"_name"}
        config = AvHubertConfig(**{key: value for key, value in keys.items() if key in known})
        if not 0 <= layer <= config.encoder_layers:
            raise ValueError(
                f"{path}: its encoder has layers 0 to {config.encoder_layers}, not {layer}; choose others"
            )
        task = state["cfg"].get("task") or {}
        own = trained_modality(config.modality, task.get("modality", "both"))
        self.wanted = {modality, own} - {"both"} or {"both"}
        if len(self.wanted) > 1 or modality not in MODALITIES:
            raise ValueError(f"{path}: it takes {own}, not {modality}; give --modality {own}")
        # Clusters play no part here.
        config.untie_final_proj = False
        self._model = ExtAvHubert(config, [1])
        needed = {
            name for name in self._model.state_dict() if not name.startswith(("final_proj.", "label_embs"))
        }
        missing, _ = self._model.load_state_dict(
            {name: value for name, value in weights.items() if name in needed}, strict=False
        )
        if lost := sorted(needed & set(missing)):
            raise FileError(f"{path}: {len(lost)} weights are missing, e.g. {lost[0]}; copy it again")
        self._model.encoder.layers = self._model.encoder.layers[:layer]
        self._model.eval().to(device)
        self._layer, self._device = layer, device
        self.crop_px = int((task.get("pictures") or {}).get("crop_px", PictureConfig().crop_px))

    @torch.no_grad()
    def __call__(self, video: Tensor | None, audio: Tensor | None) -> Floats:
        """Encode a clip: video (T, H, W), audio (T, A), one of them perhaps None: (T, D)."""
        output = self._model.encode(
            None if video is None else video[None, None].to(self._device),
            None if audio is None else audio.T[None].to(self._device),
            return_hidden=True,
        )
        frames: Floats = output.hidden[self._layer][0].float().cpu().numpy()
        return frames


def clip_rows(manifest: Path, split: str, frames: AvFrames) -> Features:
    """Return what computes the features of a row of a split of mouth clips."""
    rows = AvRows(manifest, split)
    transform = PictureTransform(PictureConfig(crop_px=frames.crop_px), train=False)
    read_pictures = None if frames.wanted == {"audio"} else DecodedClips(rows)
    clips = AvDataset(
        rows, read_pictures=read_pictures, pictures=transform, sound=frames.wanted != {"video"}, shuffle=False
    )

    def of_row(row: int) -> Floats:
        try:
            item = clips.read(row)
        except (AudioError, VideoError, OSError) as error:
            raise FileError(str(error)) from error
        return frames(item.video, item.audio)

    return of_row


def _model_keys(state: dict[str, Any]) -> dict[str, Any]:
    return dict((state.get("cfg") or {}).get("model") or {})
