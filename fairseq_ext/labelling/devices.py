"""On which processor a recogniser runs, and in which type where PyTorch runs it."""

import os


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


def half_precision(name: str, device: str, compute_type: str) -> bool:
    """Tells which of the two types PyTorch's Whispers run in.

    Args:
        name: of the model, for the message.
        device: of `choose_device`.
        compute_type: "auto", "float32" or "float16".

    Returns:
        True for float16.

    Raises:
        ValueError: for another type, and for float16 on a CPU.
    """
    is_cpu = device == "cpu"
    allowed = ("auto", "float32") if is_cpu else ("auto", "float32", "float16")
    if compute_type not in allowed:
        raise ValueError(
            f"{name}: a type of {allowed} expected for PyTorch on {device}, found {compute_type!r}; "
            "convert the model for CTranslate2, which has others"
        )
    return not is_cpu and compute_type != "float32"
