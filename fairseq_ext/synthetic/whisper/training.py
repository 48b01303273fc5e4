"""Train a tiny Whisper on synthetic phrases: for demonstration and tests only, no usable Whisper.

It learns the 29 words of each language of `synthetic.phrases`, spoken by espeak-ng's voices, and nothing else: real
speech gives noise. In its three formats it behaves as a real one, so that labels of synthetic clips mean something.
It never learns to predict the task, which is always given: `generate` of transformers leaves it out unless
`language` and `task` are passed, so pass them.

Why it learns quickly (`tests/bench/tiny_whisper.py` measures the result):

- The times of the words are known, so that the encoder has the word as a target at every position; learning them from
  the texts alone (CTC) still had a WER of 91 % after 700 updates.
- Words of one phrase and another, and of one speaker and another, make phrases without end (`examples`).
- Muon instead of AdamW for all matrices (`muon`).
- Few tokens, and little of the padding to 30 s (`network`).
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...files import atomic_path, atomic_write
from ...media.threads import one_thread
from ...text.language_codes import check_known
from ...torch_files import loading
from .. import phrases
from .examples import IGNORE, Batch, Vocabulary, draw_batch
from .formats import MAX_POSITIONS, new_model, write
from .muon import Muon
from .network import Network, Padding
from .recordings import Recording, record
from .settings import Settings
from .tokenizer import load_tokenizer

__all__ = ["Settings", "Trainer", "train"]

_CHECKPOINT, _RESULT = ".training.pt", "training.json"
_SAVE_EVERY_S = 20.0
_PADDING_POSITIONS = 16
_MATRIX_LR, _OTHER_LR = 0.018, 0.003
_WARM_UP, _DECAY = 0.06, 0.6  # shares of the updates
_MAX_NORM = 1.0
_LOSS_SPAN = 50  # updates over which the loss shown is averaged

Progress = Callable[[str, int, int, float], None]


def train(
    folder: str | os.PathLike[str],
    *,
    settings: Settings | None = None,
    on_progress: Progress | None = None,
    save_every_s: float = _SAVE_EVERY_S,
) -> None:
    """Train a tiny Whisper and write it as `formats.write_random` does; for demonstration and tests only.

    It uses one core. A killed run continues from its last checkpoint; a finished one is kept. Equal settings give
    equal weights on one machine, interrupted or not.

    Args:
        folder: where to write `hf`, `ct2`, `openai.pt`, and `training.json`: the settings and the last losses.
        settings: settings of the training.
        on_progress: called with what is counted ("recordings" or "updates"), how many are done, how many there
            are, and the loss so far.
        save_every_s: wall time between two checkpoints; an update takes 0.2 s.

    Raises:
        ValueError: for invalid settings, or others than those of the model in the folder.
        ImportError: when a package is not installed.
    """
    settings, target = settings or Settings(), Path(folder)
    _check(settings)
    wanted = json.loads(json.dumps(asdict(settings)))
    if (target / _RESULT).exists():
        _check_same(
            target / _RESULT, json.loads((target / _RESULT).read_text(encoding="utf-8"))["settings"], wanted
        )
        return
    with one_thread():
        recordings = list(_record(settings, on_progress))
        trainer = Trainer(settings, recordings)
        if (target / _CHECKPOINT).exists():
            with loading(target / _CHECKPOINT):
                saved = torch.load(target / _CHECKPOINT, weights_only=True)
            _check_same(target / _CHECKPOINT, saved["settings"], wanted)
            trainer.load_state_dict(saved["state"])
        saved_at = time.monotonic()
        while trainer.update < settings.updates:
            trainer.step()
            if on_progress is not None:
                on_progress("updates", trainer.update, settings.updates, trainer.loss)
            if time.monotonic() - saved_at >= save_every_s:
                with atomic_path(target / _CHECKPOINT) as temporary:
                    torch.save({"settings": wanted, "state": trainer.state_dict()}, temporary)
                saved_at = time.monotonic()
        write(trainer.whisper(), target)
    with atomic_write(target / _RESULT) as file:
        json.dump({"settings": wanted, "loss": trainer.loss}, file, indent=1)
    (target / _CHECKPOINT).unlink(missing_ok=True)


def _check(settings: Settings) -> None:
    check_known(settings.languages, phrases.LANGUAGES)
    for name in ("updates", "batch_size", "recordings"):
        if getattr(settings, name) < 1:
            raise ValueError(
                f"tiny Whisper: {name} of at least 1 expected, found {getattr(settings, name)}; raise it"
            )


def _check_same(path: Path, found: dict[str, Any], expected: dict[str, Any]) -> None:
    differing = [name for name in expected if found.get(name) != expected[name]]
    if differing:
        differences = ", ".join(f"{name} {found.get(name)} instead of {expected[name]}" for name in differing)
        raise ValueError(f"{path}: made with other settings, {differences}; choose another folder")


def _record(settings: Settings, on_progress: Progress | None) -> Iterator[Recording]:
    total = settings.recordings * len(settings.languages)
    done = 0
    for language in settings.languages:
        for recording in record(language, settings.recordings, seed=settings.seed):
            done += 1
            if on_progress is not None:
                on_progress("recordings", done, total, float("nan"))
            yield recording


class Trainer:
    """The state of a training; `step` makes one update.

    Args:
        settings: settings of the training.
        recordings: recordings in all its languages.

    Attributes:
        update: number of updates made.
        loss: loss per token, averaged over about 50 updates; nan before the first.
    """

    def __init__(self, settings: Settings, recordings: Sequence[Recording]) -> None:
        self.settings, self.recordings = settings, recordings
        tokenizer = load_tokenizer()
        self.vocabulary = Vocabulary(settings.languages, lambda text: tokenizer.encode(text).ids)
        sizes = {"d_model": settings.d_model, "layers": settings.layers, "heads": settings.heads}
        self._whisper = new_model(seed=settings.seed, **sizes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = Network(self._whisper, self.vocabulary.tokens)
            nn.init.normal_(self.network.decoder.embed_tokens.weight, std=0.05)
            self.word_head = nn.Linear(settings.d_model, len(self.vocabulary.classes) + 1)
        self.optimizers = _optimizers(self.network, self.word_head)
        self.update, self.loss = 0, float("nan")

    def step(self) -> None:
        """Make one update; its examples depend on the seed and the update's number only."""
        rng = random.Random(f"{self.settings.seed} {self.update}")
        batch = draw_batch(self.recordings, self.vocabulary, self.settings.batch_size, rng)
        token_loss, word_loss = self._losses(batch, torch.Generator().manual_seed(rng.getrandbits(62)))
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        torch.autograd.backward(token_loss + word_loss)
        nn.utils.clip_grad_norm_(self._parameters(), _MAX_NORM)
        factor = _schedule(self.update, self.settings.updates)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["highest_lr"] * factor
            optimizer.step()
        share = 1.0 if self.update == 0 else 1 / _LOSS_SPAN
        self.loss = token_loss.item() * share + (self.loss * (1 - share) if self.update else 0.0)
        self.update += 1

    def _losses(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the losses of the tokens, and of the word at each position of the encoder without padding."""
        num_positions = batch.mel.shape[-1] // 2 - 1  # the network drops the last one
        padding = Padding(num_positions, MAX_POSITIONS, _PADDING_POSITIONS, generator)
        logits, memory = self.network(batch.mel, batch.inputs, padding)
        tokens = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE)
        words = self.word_head(memory[:, :num_positions])
        return tokens, F.cross_entropy(words.flatten(0, 1), batch.classes[:, :num_positions].flatten())

    def _parameters(self) -> list[Tensor]:
        return [
            p for optimizer in self.optimizers for group in optimizer.param_groups for p in group["params"]
        ]

    def whisper(self) -> Any:
        """Return the `transformers.WhisperForConditionalGeneration` as it is now; the next call changes it."""
        self.network.copy_to(self._whisper)
        return self._whisper

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next update depends on."""
        return {
            "update": self.update,
            "loss": self.loss,
            "network": self.network.state_dict(),
            "word_head": self.word_head.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state of `state_dict`, made with the same settings."""
        self.update, self.loss = state["update"], state["loss"]
        self.network.load_state_dict(state["network"])
        self.word_head.load_state_dict(state["word_head"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)


def _optimizers(network: nn.Module, word_head: nn.Module) -> list[torch.optim.Optimizer]:
    """Return Muon for the layers' matrices, AdamW for embeddings, biases, convolutions and the head."""
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name]
    known = {id(p) for p in matrices}
    others = [p for _, p in named if id(p) not in known] + list(word_head.parameters())
    optimizers: list[torch.optim.Optimizer] = [
        Muon(matrices, lr=_MATRIX_LR),
        torch.optim.AdamW(others, lr=_OTHER_LR, betas=(0.9, 0.98), weight_decay=0.01),
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["highest_lr"] = group["lr"]
    return optimizers


def _schedule(update: int, updates: int) -> float:
    """Return the share of the highest learning rate: rising, constant, falling to 0."""
    rise = (update + 1) / max(1.0, _WARM_UP * updates)
    fall = (updates - update) / (_DECAY * updates)
    return min(1.0, rise, fall)
