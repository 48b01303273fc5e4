"""What the Whispers that PyTorch runs have in common: device and number format, loading, repeatable sampling."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..optional import import_optional, reason
from .devices import Hardware, choose_device
from .engine import FRAME_RATE_HZ, Decoding


class TorchWhisper:
    """The base of the engines of openai-whisper and transformers.

    The number format is "float32", "float16" (GPU only) or "auto": float16 on a GPU.

    Raises:
        ValueError: when PyTorch does not have the device, or not this type on it.
        ImportError: when PyTorch is not installed.
    """

    def __init__(self, *, name: str, hardware: Hardware, decoding: Decoding) -> None:
        self.name, self.batch_size, self.decoding = name, hardware.batch_size, decoding
        self._torch = import_optional("torch")
        self._device = choose_device(hardware.device, self._torch.cuda.device_count())
        self._half = _is_half(name, self._device, hardware.compute_type)
        if hardware.num_threads:
            self._torch.set_num_threads(hardware.num_threads)

    @contextmanager
    def _loading(self, model: str, package: str, advice: str) -> Iterator[None]:
        """Turn any error of a package that loads a model into a ValueError of one line."""
        try:
            yield
        except Exception as error:  # each has its own for formats, downloads and CUDA
            raise ValueError(
                f"{model}: {package} cannot load this model on {self._device}: {reason(error)}; {advice}"
            ) from error

    def part(self, encoded: Any, index: int, start_s: float, end_s: float) -> Any:
        """Return a stretch of an encoded window; see `Engine.part`."""
        return encoded[index : index + 1, round(start_s * FRAME_RATE_HZ) : round(end_s * FRAME_RATE_HZ)]

    @contextmanager
    def _seeded(self) -> Iterator[Any]:
        """Draw the same samples at every call, and leave the caller's random state alone; yields torch."""
        with self._torch.random.fork_rng(devices=[]), self._torch.no_grad():
            self._torch.manual_seed(self.decoding.seed)
            yield self._torch


def _is_half(name: str, device: str, compute_type: str) -> bool:
    is_cpu = device == "cpu"
    allowed = ("auto", "float32") if is_cpu else ("auto", "float32", "float16")
    if compute_type not in allowed:
        raise ValueError(
            f"{name}: a type of {allowed} expected for PyTorch on {device}, found {compute_type!r}; "
            "convert the model for CTranslate2, which has others"
        )
    return not is_cpu and compute_type != "float32"
