"""`ext_audio_ctc`: recordings with transcripts, from a manifest folder, for `ext_ctc`.

The folder holds `{split}.tsv`, `{split}.<labels>` (units separated by spaces, see `text/units.py`) and
`dict.<labels>.txt`. The symbols travel in the checkpoint, so that inference needs no folder.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.tasks import register_task
from numpy.typing import NDArray

from ..data.labels import SPECIAL_SYMBOLS, TokenLabels, token_symbols
from ..data.transcribed_dataset import TranscribedDataset
from ._audio import AudioTask, AudioTaskConfig, read_split

_LONG = 0.99  # share of the training recordings that are shorter than `long_s`


@dataclass
class AudioCtcConfig(AudioTaskConfig):
    """Keys of the recognition task."""

    labels: str = field(default="ltr", metadata={"help": "name of the label stream: {split}.<labels>"})
    max_duration_s: float = field(
        default=0.0, metadata={"help": "longer recordings are left out of training, s; 0 = none"}
    )


@register_task("ext_audio_ctc", dataclass=AudioCtcConfig)
class ExtAudioCtcTask(AudioTask):
    """Recognise speech, token by token."""

    lr_scale_key = "model.layer_decay"

    def __init__(self, cfg: AudioCtcConfig) -> None:
        super().__init__(cfg)
        # fairseq saves the state in the checkpoint. Read on first use only: a loaded checkpoint brings its symbols.
        self.state.add_factory("symbols", lambda: token_symbols(cfg.data, cfg.labels))
        self._frame_lengths: Callable[[torch.Tensor], torch.Tensor] | None = None

    @property
    def symbols(self) -> list[str]:
        """Return the symbols of the network's outputs, fairseq's four first."""
        return list(self.state.symbols)

    @property
    def target_dictionary(self) -> Dictionary:
        """Return the symbols as fairseq's own criterions and decoders take them."""
        dictionary = Dictionary()
        for symbol in self.symbols[len(SPECIAL_SYMBOLS) :]:
            dictionary.add_symbol(symbol)
        return dictionary

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Build the model (called by fairseq), whose encoder says how many frames a recording gives."""
        model = super().build_model(cfg, from_checkpoint)
        self._frame_lengths = model.encoder.frame_lengths
        return model

    def frame_lengths(self, num_samples: NDArray[Any]) -> NDArray[Any]:
        """Return the numbers of frames (rows,) that the network gives."""
        assert self._frame_lengths is not None
        return self._frame_lengths(torch.from_numpy(num_samples.astype(np.int64))).numpy()

    def open_split(self, cfg: Any, split: str, *, train: bool) -> TranscribedDataset:
        """Open a split with its transcripts; augmented in training. Nothing is left out of others, nothing ever cut."""
        transcripts = TokenLabels(Path(cfg.data) / f"{split}.{cfg.labels}", self.symbols)
        transcripts.report_missing()
        dataset = read_split(
            TranscribedDataset,
            cfg,
            split,
            train=train,
            augment=train,
            transcripts=transcripts,
            leave_out=train,
            frame_lengths=self.frame_lengths if self._frame_lengths else None,
        )
        if train:
            # Inference cuts recordings into windows of about this length, which training has covered.
            long_s = float(np.quantile(dataset.sizes, _LONG)) / cfg.sample_rate_hz
            self.state.merge_state_dict({"long_s": round(long_s, 2)})
        return dataset

    def get_checkpoint_dict(self) -> dict[str, Any]:
        """Add to a checkpoint what `set_checkpoint_dict` compares (called by fairseq)."""
        return {type(self).__name__: {"symbols": self.symbols}}

    def set_checkpoint_dict(self, state: Mapping[str, Any]) -> None:
        """Refuse to continue with another dictionary than before (called by fairseq on resuming).

        Raises:
            ValueError: the dictionary has changed.
        """
        before = list(state["symbols"])
        if before != self.symbols:
            raise ValueError(
                f"{self.cfg.data}/dict.{self.cfg.labels}.txt: the checkpoint's symbols {before} expected, found "
                f"{self.symbols}; restore the dictionary, or train in another save_dir from model.pretrained_path"
            )
