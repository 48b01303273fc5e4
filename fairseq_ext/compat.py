"""Fixes that fairseq needs on current Python and torch; imported by tasks/ and models/.

Each fix says what fails without it. Nothing of fairseq is copied; what is replaced is named.
"""

import argparse
import atexit
import contextlib
import functools
import logging
import pickle
import queue
import shutil
import sys
import threading
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from .file_errors import FileError, reading
from .files import atomic_path
from .torch_files import archive_fault, reason_of, restore_last_checkpoint

logger = logging.getLogger(__name__)

MIN_TORCH = (2, 6)
INSTALL = "run 'make env' in the checkout, or: pip install 'fairseq-fixed>=0.12.3.1,<0.13'"
NOISY_LOGGERS = ("numba", "matplotlib", "PIL", "h5py", "fsspec", "urllib3", "fairseq.tasks.text_to_speech")


def check_versions() -> None:
    """Raise when the installed versions cannot work together, and say what to install.

    Raises:
        ImportError: fairseq is missing or is the release that Python 3.11 cannot import; torch is too old.
    """
    try:
        import fairseq  # noqa: F401 - 0.12.2 fails here, with an error about mutable defaults
    except ValueError as error:
        raise ImportError(
            f"fairseq: Python {sys.version_info[0]}.{sys.version_info[1]} cannot import the installed release "
            f"({error}); {INSTALL}"
        ) from error
    except ImportError as error:
        raise ImportError(f"fairseq cannot be imported ({error}); {INSTALL}") from error
    version = metadata.version("torch")
    if tuple(int(part) for part in version.split(".")[:2]) < MIN_TORCH:
        raise ImportError(
            f"torch: expected {MIN_TORCH[0]}.{MIN_TORCH[1]} or newer, found {version}; upgrade torch"
        )


def quiet_logs() -> None:
    """Keep libraries from flooding the log: one of fairseq's modules sets the root logger to DEBUG at import."""
    if logging.getLogger().level == logging.DEBUG:
        logging.getLogger().setLevel(logging.INFO)
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def allow_checkpoint_types() -> None:
    """Let `torch.load` with `weights_only`, the default since torch 2.6, read what fairseq keeps in checkpoints."""
    import numpy as np
    import torch
    from fairseq.data import Dictionary

    dtypes = [type(np.dtype(code)) for code in ("f2", "f4", "f8", "i4", "i8", "u1", "u8", "b1")]
    # The functions that rebuild a numpy scalar and an array; files of numpy 1 name them by their old module.
    rebuilders: list[Any] = [np.float64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]]
    older = [(function, f"numpy.core.multiarray.{function.__name__}") for function in rebuilders]
    torch.serialization.add_safe_globals(
        [Dictionary, argparse.Namespace, np.dtype, np.ndarray, *dtypes, *rebuilders, *older]
    )


def copy_checkpoints_atomically() -> None:
    """Replace `PathManager.copy`: fairseq copies checkpoint_best.pt over checkpoint_last.pt in place.

    A job that is killed meanwhile leaves half a checkpoint_last.pt, and can not be continued.
    """
    from fairseq.file_io import PathManager

    PathManager.copy = staticmethod(copy_atomically)


def copy_atomically(src_path: str, dst_path: str, overwrite: bool = False) -> bool:
    """Copy a file: the destination holds the whole of it or what it held before. True, as fairseq's function returns.

    Raises:
        FileExistsError: the destination exists and `overwrite` is off.
    """
    destination = Path(dst_path)
    if destination.exists() and not overwrite:
        raise FileExistsError(f"{destination} exists already; remove it or pass overwrite=True")
    with atomic_path(destination) as temporary:
        shutil.copyfile(src_path, temporary)
    return True


def verify_checkpoints() -> None:
    """Compare the checksums of the checkpoints that fairseq loads, which torch does not, and continue from a sound one.

    Replaces `load_checkpoint_to_cpu` and `load_checkpoint`; what cannot be read ends without torch's advice to load it
    unsafely.
    """
    from fairseq import checkpoint_utils

    load, restore = checkpoint_utils.load_checkpoint_to_cpu, checkpoint_utils.load_checkpoint

    @functools.wraps(load)
    def load_sound(path: str, *rest: Any, **options: Any) -> Any:
        with reading(path, "a checkpoint", advice="copy it again or give another file"):
            if fault := archive_fault(path):
                raise FileError(f"{path}: {fault}; copy it again or train again")
            try:
                return load(path, *rest, **options)
            except pickle.UnpicklingError as error:
                raise FileError(f"{path}: {reason_of(error, Path(path))}; give another file") from None

    @functools.wraps(restore)
    def restore_sound(cfg: Any, trainer: Any, **options: Any) -> Any:
        resumes = cfg.restore_file == "checkpoint_last.pt" and trainer.is_data_parallel_master
        if resumes and (message := restore_last_checkpoint(Path(cfg.save_dir), trainer.checkpoint_suffix)):
            logger.warning(message)
        return restore(cfg, trainer, **options)

    checkpoint_utils.load_checkpoint_to_cpu, checkpoint_utils.load_checkpoint = load_sound, restore_sound


def leave_finished_trainings_alone() -> None:
    """Let a training that is started again after its last update end at once: fairseq would add another update.

    A job killed between its last checkpoint and its exit would come out different from one that was not.
    """
    command: Any = sys.modules.get("fairseq_cli.train")
    if command is None:  # not the training command
        return
    train = command.train

    @functools.wraps(train)
    def train_unless_finished(cfg: Any, trainer: Any, *rest: Any) -> tuple[list[float | None], bool]:
        limit, done = cfg.optimization.max_update, trainer.get_num_updates()
        if 0 < limit <= done:
            logger.info(f"nothing to train: update {done} of {limit} is in the checkpoint")
            return [None], True
        result: tuple[list[float | None], bool] = train(cfg, trainer, *rest)
        return result

    command.train = train_unless_finished


def end_readers(patience_s: float = 60.0) -> None:
    """Stop the threads that read ahead; called at exit. A stuck reader is abandoned after `patience_s` seconds.

    A training ends in the middle of an epoch, its reader at work. Python unwinds such a thread through torch's code,
    which aborts ("terminate called without an active exception") and turns success into exit status 134.
    """
    from fairseq.data.iterators import BackgroundConsumer

    give_up = time.monotonic() + patience_s
    for reader in [thread for thread in threading.enumerate() if isinstance(thread, BackgroundConsumer)]:
        reader._max_len = 0  # makes it stop after its current batch
        while reader.is_alive() and time.monotonic() < give_up:
            with contextlib.suppress(queue.Empty):  # makes room, in case it waits to put a batch
                reader._queue.get(timeout=0.05)


def start_optimizers_quickly() -> None:
    """Skip the import of torch's unused compiler: 2.5 of a training's 8.5 CPU-seconds before update 1.

    The first optimizer imports it only to mark some of its own methods as "not to be compiled"; torch skips that for
    methods that bear the mark (`torch/_compile.py`; on releases without it, this does nothing).
    """
    import torch

    if "fairseq_cli.train" not in sys.modules:  # not the training command
        return
    for method in vars(torch.optim.Optimizer).values():
        inner = getattr(method, "__wrapped__", None)
        code = getattr(method, "__code__", None)
        if inner is not None and code is not None and Path(code.co_filename).name == "_compile.py":
            inner.__dynamo_disable = inner


@functools.cache
def apply() -> None:
    """Apply every fix, once a process."""
    check_versions()
    quiet_logs()
    allow_checkpoint_types()
    copy_checkpoints_atomically()
    verify_checkpoints()
    leave_finished_trainings_alone()
    start_optimizers_quickly()
    atexit.register(end_readers)


apply()
