"""The fixes of `compat`: copies that are whole or absent, checkpoints that load, launches that are refused."""

import argparse
import logging
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary
from fairseq.data.iterators import BufferedIterator
from fairseq.file_io import PathManager
from omegaconf import OmegaConf
from preloaded import Preloaded

from fairseq_ext import compat
from fairseq_ext.tasks._task import refuse_silent_copies


@pytest.fixture(autouse=True)
def _applied() -> None:
    compat.apply()


def test_copy_holds_the_whole_file(tmp_path: Path) -> None:
    source, target = tmp_path / "a.pt", tmp_path / "b.pt"
    source.write_bytes(b"new" * 1000)
    target.write_bytes(b"old")
    assert PathManager.copy(str(source), str(target), overwrite=True)
    assert target.read_bytes() == source.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt", "b.pt"]


def test_copy_that_fails_leaves_the_destination_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "a.pt", tmp_path / "b.pt"
    source.write_bytes(b"new")
    target.write_bytes(b"old")

    def dies_half_way(src: str, dst: Path) -> None:
        Path(dst).write_bytes(b"n")
        raise OSError("no space left on device")

    monkeypatch.setattr(compat.shutil, "copyfile", dies_half_way)
    with pytest.raises(OSError, match="no space"):
        compat.copy_atomically(str(source), str(target), overwrite=True)
    assert target.read_bytes() == b"old"


def test_copy_refuses_to_overwrite_by_default(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        PathManager.copy(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_text() == "b"


def test_what_fairseq_stores_loads_with_weights_only(tmp_path: Path) -> None:
    dictionary = Dictionary()
    for symbol in ("ç", "à", "ŀl"):
        dictionary.add_symbol(symbol)
    state = {
        "task_state": {"target_dictionary": dictionary},
        "args": argparse.Namespace(lr=0.1),
        "best_loss": np.float64(1.5),
        "counts": np.arange(3, dtype=np.int64),
    }
    torch.save(state, tmp_path / "checkpoint.pt")
    loaded = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert loaded["task_state"]["target_dictionary"].symbols == dictionary.symbols
    assert loaded["args"].lr == 0.1
    assert loaded["best_loss"] == 1.5
    assert loaded["counts"].tolist() == [0, 1, 2]


def test_checkpoint_written_with_numpy_1_loads(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    state = {"best": np.float64(1.5), "counts": np.arange(3)}
    torch.save(state, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    loaded = torch.load(path, weights_only=True)
    assert (loaded["best"], loaded["counts"].tolist()) == (1.5, [0, 1, 2])


class Foreign:
    """Any class that is not of a checkpoint."""


def test_other_classes_stay_refused(tmp_path: Path) -> None:
    torch.save({"model": Foreign()}, tmp_path / "checkpoint.pt")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        torch.load(tmp_path / "checkpoint.pt", weights_only=True)


def test_launch_that_fairseq_overlooks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match="distributed_world_size=4"):
        refuse_silent_copies()


@pytest.mark.parametrize("size", [None, "1"])
def test_single_process_is_not_refused(monkeypatch: pytest.MonkeyPatch, size: str | None) -> None:
    if size is None:
        monkeypatch.delenv("WORLD_SIZE", raising=False)
    else:
        monkeypatch.setenv("WORLD_SIZE", size)
    refuse_silent_copies()


def test_old_torch_is_refused_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat.metadata, "version", lambda _: "2.5.1+cu124")
    with pytest.raises(ImportError, match=r"2\.6 or newer, found 2\.5\.1"):
        compat.check_versions()


def test_logs_are_quiet_and_a_chosen_level_is_kept() -> None:
    root = logging.getLogger()
    before = root.level
    try:
        root.setLevel(logging.DEBUG)
        compat.quiet_logs()
        assert root.level == logging.INFO
        assert logging.getLogger("numba").getEffectiveLevel() == logging.WARNING
        root.setLevel(logging.ERROR)
        compat.quiet_logs()
        assert root.level == logging.ERROR
    finally:
        root.setLevel(before)


def test_readers_are_ended_at_exit() -> None:
    class Endless:
        def __len__(self) -> int:
            return 1_000_000

        def __iter__(self) -> Iterator[torch.Tensor]:
            while True:
                time.sleep(0.001)
                yield torch.zeros(10)

    waiting, working = BufferedIterator(2, Endless()), BufferedIterator(100_000, Endless())
    for reader in (waiting, working):
        next(reader)
    compat.end_readers()
    for reader in (waiting, working):
        reader._consumer.join(10)
        assert not reader._consumer.is_alive()


def test_trained_to_the_end_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    command = types.ModuleType("fairseq_cli.train")
    command.train = lambda cfg, trainer, task, epoch: calls.append(epoch) or ([0.5], False)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fairseq_cli.train", command)
    compat.leave_finished_trainings_alone()

    def train(done: int, limit: int) -> tuple[list[float | None], bool]:
        cfg = OmegaConf.create({"optimization": {"max_update": limit}})
        trainer = types.SimpleNamespace(get_num_updates=lambda: done)
        result: tuple[list[float | None], bool] = command.train(cfg, trainer, None, 1)  # type: ignore[attr-defined]
        return result

    assert train(20, 20) == ([None], True)
    assert not calls
    assert train(19, 20) == train(19, 0) == ([0.5], False)
    assert len(calls) == 2


OPTIMIZER = """
import sys
import fairseq_cli.train
import torch
from fairseq.optim.adam import Adam
from fairseq_ext import compat
weight = torch.nn.Parameter(torch.ones(3))
optimizer = Adam([weight])
for _ in range(2):
    optimizer.zero_grad()
    (weight * weight).sum().backward()
    optimizer.step()
optimizer.load_state_dict(optimizer.state_dict())
assert float(weight[0]) < 1.0
sys.exit("torch._dynamo" in sys.modules)
"""


def test_training_starts_without_the_compiler(preloaded: Preloaded, tmp_path: Path) -> None:
    # 2.5 CPU-seconds of each start; in a process of its own, as pytest's may have loaded it
    (tmp_path / "optimizer.py").write_text(OPTIMIZER, encoding="utf-8")
    preloaded.run([tmp_path / "optimizer.py"], check=True)
