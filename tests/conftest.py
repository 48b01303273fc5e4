"""Corpora for the tests, and the real training command."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from preloaded import Preloaded

REPOSITORY = Path(__file__).resolve().parents[1]
# Set before torch is imported, and inherited by every subprocess: small networks lose time to threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # with more, UMAP sets as many for torch, for good
os.environ["HYDRA_FULL_ERROR"] = "1"

Command = Callable[[Path, Sequence[str]], list[str]]


@dataclass(frozen=True)
class Training:
    """A finished training: its folder, what it printed, and the exit status."""

    folder: Path
    output: str
    status: int

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of its JSON log."""
        lines = (self.folder / "train.log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line[line.index("{") :]) for line in lines if '{"epoch"' in line]

    @property
    def updates(self) -> dict[int, float]:
        """Training loss by update, of what was logged inside the epochs."""
        return {int(row["num_updates"]): float(row["loss"]) for row in self.log if "num_updates" in row}

    def checkpoint(self, name: str = "checkpoint_last.pt") -> dict[str, Any]:
        """Return a checkpoint as torch reads it."""
        import torch

        from fairseq_ext import compat

        compat.apply()
        state: dict[str, Any] = torch.load(self.folder / name, map_location="cpu", weights_only=True)
        return state


@pytest.fixture(autouse=True)
def draws_of_its_own() -> None:
    """Seed the generators that code may share, so that no test's draws depend on the tests before it."""
    import numpy
    import torch

    random.seed(1)
    numpy.random.seed(1)  # noqa: NPY002 - fairseq draws its masks from it
    torch.manual_seed(1)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def fsdd_root() -> Path:
    """Return the folder of the real Free Spoken Digit Dataset that holds `recordings/`."""
    root = REPOSITORY.parent / "shared" / "data" / "fsdd"
    if not (root / "recordings").is_dir():
        pytest.skip(f"the real recordings are not here: {root}/recordings")
    return root


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of the published split of a synthetic corpus: 160 train, 40 valid, 40 test, 8 kHz, stream "digit"."""
    from fairseq_ext.corpora import fsdd, fsdd_partitions
    from fairseq_ext.corpora.partitions import write
    from fairseq_ext.synthetic import fsdd as synthetic

    root = tmp_path_factory.mktemp("corpus")
    synthetic.write(root, num_per_digit=4, progress=False)
    published = next(fsdd_partitions.partitions(list(fsdd.read(root))))
    folder = tmp_path_factory.mktemp("manifests") / published.name
    write(published, folder, fsdd.recordings_folder(root))
    return folder


@pytest.fixture(scope="session")
def training_command(tiny_corpus: Path) -> Command:
    """Arguments of fairseq-hydra-train: 20 updates of the linear baseline on the tiny corpus, unless overridden.

    "config=NAME" takes another configuration of the recipe, "conf=FOLDER" one of another folder.
    """

    def command(folder: Path, overrides: Sequence[str]) -> list[str]:
        given = {override.split("=")[0].lstrip("+") for override in overrides}
        settings = {
            "common.user_dir": REPOSITORY / "fairseq_ext",
            "common.cpu": "true",
            "common.log_interval": 1,
            "common.log_file": folder / "train.log",
            "task.data": tiny_corpus,
            "checkpoint.save_dir": folder,
            "hydra.run.dir": folder,
            "dataset.batch_size": 16,
            "dataset.disable_validation": "true",
            "optimization.max_update": 20,
            "lr_scheduler.warmup_updates": 4,
        }
        defaults = [f"{key}={value}" for key, value in settings.items() if key not in given]
        ours = dict(o.split("=", 1) for o in overrides if o.startswith(("conf=", "config=")))
        conf = ours.get("conf", REPOSITORY / "recipes" / "spoken_digits" / "conf")
        config = ours.get("config", "linear")
        rest = [override for override in overrides if override.split("=")[0] not in ours]
        program = Path(sys.executable).with_name("fairseq-hydra-train")
        return [str(program), "--config-dir", str(conf), "--config-name", config, *defaults, *rest]

    return command


@pytest.fixture(scope="session")
def preloaded() -> Iterator[Preloaded]:
    """Return a server that runs Python programs which need not import fairseq."""
    process = Preloaded()
    yield process
    process.close()


@pytest.fixture(scope="session")
def train(training_command: Command, preloaded: Preloaded) -> Callable[..., Training]:
    """Run fairseq-hydra-train to its end; an exit other than 0 raises, with the log's tail, unless `fails` is set.

    It has fairseq and the plugin imported already, unless `environment` is given: variables to add to this one's.
    """

    def run(
        folder: Path, *overrides: str, fails: bool = False, environment: Mapping[str, str] | None = None
    ) -> Training:
        folder.mkdir(parents=True, exist_ok=True)
        command, log = training_command(folder, overrides), folder / "said.log"
        if environment is None:
            status = preloaded.start(command, log, log, cwd=folder).wait()
        else:
            with log.open("wb") as file:
                streams = {"stdout": file, "stderr": subprocess.STDOUT}
                env = os.environ | environment
                status = subprocess.run(command, env=env, cwd=folder, timeout=300, **streams).returncode
        output = log.read_text(encoding="utf-8")
        if (status != 0) != fails:
            tail = "\n".join(output.splitlines()[-25:])
            raise AssertionError(f"exit status {status} of the training in {folder}:\n{tail}")
        return Training(folder, output, status)

    return run
