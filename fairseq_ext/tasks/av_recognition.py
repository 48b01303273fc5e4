"""`ext_av_recognition`: clips of mouths, of sound, or of both, with transcripts, for `ext_av_ctc_attention`.

The folder holds `{split}.tsv` with the sidecar of prepared clips, `{split}.<labels>` (units with spaces between them:
characters, SentencePiece units or words, see `text/units.py`) and `dict.<labels>.txt`; with `frame_labels`,
`{split}.<frame_labels>` with a unit per frame. Symbols travel in the checkpoint, so that inference needs no folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fairseq.data import Dictionary
from fairseq.tasks import register_task

from ..data.av_rows import FRAMES_PER_S
from ..data.frame_labels import FrameLabels
from ..data.labels import SPECIAL_SYMBOLS, TokenLabels, token_symbols
from ..data.recognition_clips import Curriculum, RecognitionClips, languages_of
from ._av import AvTask, AvTaskConfig, read_split

_LONG = 0.99  # share of the training clips that are shorter than `long_s`


@dataclass
class AvRecognitionConfig(AvTaskConfig):
    """Keys of the recognition task."""

    labels: str = field(default="ltr", metadata={"help": "name of the label stream: {split}.<labels>"})
    frame_labels: str = field(
        default="",
        metadata={
            "help": "name of the stream with a unit per frame; empty = none. With no dictionary: of <labels>"
        },
    )
    label_rate_hz: int = field(
        default=25, metadata={"help": "units of frame_labels per second, a multiple of 25"}
    )
    curriculum_frames: int = field(
        default=0, metadata={"help": "longest clip of the first epochs, frames; 100 = published; 0 = any"}
    )
    curriculum_epochs: int = field(default=0, metadata={"help": "number of epochs with short clips alone"})
    language_token: bool = field(
        default=False, metadata={"help": "let the decoder start with the language of the clip, not with <s>"}
    )


@register_task("ext_av_recognition", dataclass=AvRecognitionConfig)
class ExtAvRecognitionTask(AvTask):
    """Recognise speech from lips, sound or both, token by token."""

    lr_scale_key = "model.encoder_lr_scale"

    def __init__(self, cfg: AvRecognitionConfig) -> None:
        super().__init__(cfg)
        # fairseq saves the state in the checkpoint. Read on first use only: a loaded checkpoint brings its symbols.
        self.state.add_factory("symbols", lambda: token_symbols(cfg.data, cfg.labels))
        self.state.add_factory("frame_symbols", self._read_frame_symbols)
        self.state.add_factory("languages", self._read_languages)

    @property
    def symbols(self) -> list[str]:
        """Return the symbols of the network's outputs, fairseq's four first."""
        return list(self.state.symbols)

    @property
    def languages(self) -> list[str]:
        """Return the languages that a transcript can start with; none without language tokens."""
        return list(self.state.languages)

    @property
    def has_frame_labels(self) -> bool:
        """Return whether frames have labels."""
        return bool(self.cfg.frame_labels)

    @property
    def num_frame_classes(self) -> int:
        """Return the number of classes of frames; 0 = there are none."""
        return len(self.state.frame_symbols)

    @property
    def num_starts(self) -> int:
        """Return the number of tokens beside the symbols that a transcript can start with."""
        return len(self.languages)

    @property
    def target_dictionary(self) -> Dictionary:
        """Return the symbols as fairseq's own criterions and decoders take them."""
        dictionary = Dictionary()
        for symbol in self.symbols[len(SPECIAL_SYMBOLS) :]:
            dictionary.add_symbol(symbol)
        return dictionary

    def _read_frame_symbols(self) -> list[str]:
        if not self.cfg.frame_labels:
            return []
        own = (Path(self.cfg.data) / f"dict.{self.cfg.frame_labels}.txt").is_file()
        return token_symbols(self.cfg.data, self.cfg.frame_labels) if own else self.symbols

    def _read_languages(self) -> list[str]:
        if not self.cfg.language_token:
            return []
        return sorted(set(languages_of(self.cfg.data, self.cfg.train_subset)))

    def open_split(self, cfg: Any, split: str, *, train: bool) -> RecognitionClips:
        """Open a split with its transcripts; augmented in training. Nothing is left out of others, nothing ever cut."""
        folder = Path(cfg.data)
        transcripts = TokenLabels(folder / f"{split}.{cfg.labels}", self.symbols)
        transcripts.report_missing()
        frames = None
        if cfg.frame_labels and (train or (folder / f"{split}.{cfg.frame_labels}").is_file()):
            symbols = list(self.state.frame_symbols)
            frames = FrameLabels(folder / f"{split}.{cfg.frame_labels}", symbols, cfg.label_rate_hz)
        dataset = read_split(
            RecognitionClips,
            cfg,
            split,
            train=train,
            transcripts=transcripts,
            frame_labels=frames,
            curriculum=Curriculum(cfg.curriculum_frames, cfg.curriculum_epochs) if train else None,
            starts=self._starts(folder, split),
        )
        if train:
            # Inference cuts clips into windows of about this length, which training has covered.
            long_s = float(np.quantile(dataset.sizes, _LONG)) / FRAMES_PER_S
            self.state.merge_state_dict({"long_s": round(long_s, 2)})
        return dataset

    def _starts(self, folder: Path, split: str) -> list[int] | None:
        """Return the token that each row's transcript starts with: those of languages follow the symbols."""
        if not self.languages:
            return None
        numbers = {code: len(self.symbols) + number for number, code in enumerate(self.languages)}
        found = languages_of(folder, split)
        if unknown := sorted(set(found) - numbers.keys()):
            raise ValueError(
                f"{folder}/{split}.meta.tsv: the languages {self.languages} expected, which training has, found "
                f"{unknown}; leave these clips out"
            )
        return [numbers[code] for code in found]

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
