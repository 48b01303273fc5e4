"""On which processor a recogniser runs, and in which type where PyTorch runs it."""

import os
from dataclasses import dataclass
from typing import Any

from ..optional import import_optional


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a recogniser runs on.

    Attributes:
        device: "cpu", "cuda", "cuda:1" or "auto".
        compute_type: of its numbers, "float16" or another that its package knows; "auto": the quickest that keeps the
            texts.
        batch_size: windows at once.
        num_threads: of a CPU; 0: as many as its package takes.
    """

    device: str = "auto"
    compute_type: str = "auto"
    batch_size: int = 8
    num_threads: int = 1


def choose_device(device: str, num_gpus: int) -> str:
    """Chooses a processor that is there.

    Args:
        device: "cpu", "cuda", "cuda:1", or "auto": a GPU if there is one.
        num_gpus: that this process sees.

    Returns:
        "cpu", or "cuda:" and a number; of "cuda" and "auto" the GPU of this worker.

    Raises:
        ValueError: for another name, and for a GPU that is not there.
    """
    if device == "cpu" or (device == "auto" and not num_gpus):
        return "cpu"
    own = f"cuda:{gpu_of_worker(num_gpus)}"
    kind, _, index = (own if device in {"auto", "cuda"} else device).partition(":")
    if kind != "cuda" or not index.isdecimal():
        raise ValueError(f"device: cpu, cuda, cuda:N or auto expected, found {device!r}; change the device")
    if int(index) >= num_gpus:
        raise ValueError(
            f"device {device}: a GPU and its driver expected, found {num_gpus} GPUs on this machine; use the device cpu"
            f"{', or cuda:0' if num_gpus else ''}"
        )
    return f"cuda:{int(index)}"


def gpu_of_worker(num_gpus: int) -> int:
    """Shares the GPUs of a machine out among the processes of a job.

    Args:
        num_gpus: that this process sees.

    Returns:
        The one to use: `jobs` numbers its workers in the environment.
    """
    return int(os.environ.get("JOBS_WORKER", "0")) % max(1, num_gpus)


def start_torch(name: str, hardware: Hardware) -> tuple[Any, str, bool]:
    """Imports PyTorch for a Whisper and sets its threads.

    Args:
        name: of the model, for the message.
        hardware: with the type "auto", "float32" or "float16".

    Returns:
        torch, the device of `choose_device`, and whether the type is float16.

    Raises:
        ValueError: for another type, for float16 on a CPU, and for a device that is not there.
        ImportError: without PyTorch.
    """
    torch = import_optional("torch")
    device = choose_device(hardware.device, torch.cuda.device_count())
    half = _half_precision(name, device, hardware.compute_type)
    if hardware.num_threads:
        torch.set_num_threads(hardware.num_threads)
    return torch, device, half


def _half_precision(name: str, device: str, compute_type: str) -> bool:
    is_cpu = device == "cpu"
    allowed = ("auto", "float32") if is_cpu else ("auto", "float32", "float16")
    if compute_type not in allowed:
        raise ValueError(
            f"{name}: a type of {allowed} expected for PyTorch on {device}, found {compute_type!r}; "
            "convert the model for CTranslate2, which has others"
        )
    return not is_cpu and compute_type != "float32"
