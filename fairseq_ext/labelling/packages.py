"""The packages that run a Whisper, imported where they are used."""

import importlib
import os
from typing import Any


def need(module: str) -> Any:
    """Imports a module of faster-whisper, ctranslate2, openai-whisper, transformers or tokenizers.

    Args:
        module: its dotted name.

    Returns:
        The module.

    Raises:
        ImportError: saying what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{package}: the package expected, found that it cannot be imported ({error}); "
            "run pip install -e .[whisper]"
        ) from error


def gpu_of_worker(num_gpus: int) -> int:
    """Shares the GPUs of a machine out among the processes of a job.

    Args:
        num_gpus: that this process sees.

    Returns:
        The one to use: `jobs` numbers its workers in the environment.
    """
    return int(os.environ.get("JOBS_WORKER", "0")) % max(1, num_gpus)
