"""Choose the processor that a recogniser runs on."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hardware:
    """The hardware that a recogniser runs on, and how it uses it.

    Attributes:
        device: "cpu", "cuda", "cuda:1" or "auto".
        compute_type: number format such as "float16", one that the engine's package has; "auto": the fastest format
            that leaves the texts unchanged.
        batch_size: windows per batch.
        num_threads: CPU threads; 0: the package's default.
    """

    device: str = "auto"
    compute_type: str = "auto"
    batch_size: int = 8
    num_threads: int = 1


def choose_device(device: str, num_gpus: int) -> str:
    """Return a device that this machine has: "cpu", or "cuda:" and a number.

    Args:
        device: "cpu", "cuda:1", "cuda": the GPU of this worker, or "auto": that if there is one.
        num_gpus: number of GPUs that this process sees.

    Raises:
        ValueError: when the device is unknown or this machine does not have it.
    """
    if device == "cpu" or (device == "auto" and not num_gpus):
        return "cpu"
    own = f"cuda:{gpu_of_worker(num_gpus)}"
    device_type, _, index = (own if device in {"auto", "cuda"} else device).partition(":")
    if device_type != "cuda" or not index.isdecimal():
        raise ValueError(f"device: cpu, cuda, cuda:N or auto expected, found {device!r}; change the device")
    if int(index) >= num_gpus:
        raise ValueError(
            f"device {device}: this process sees {num_gpus} GPUs; use the device cpu"
            f"{', or cuda:0' if num_gpus else ''}"
        )
    return f"cuda:{int(index)}"


def gpu_of_worker(num_gpus: int) -> int:
    """Return the GPU of this process, so that the workers of a job use all GPUs of a machine."""
    # The worker's number, which `jobs` puts into the environment.
    return int(os.environ.get("JOBS_WORKER", "0")) % max(1, num_gpus)
