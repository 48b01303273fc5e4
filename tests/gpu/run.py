"""Measure on a GPU what this project claims for one, in 9 minutes; every figure goes into one file, results.json.

tests/gpu/run.sh starts this file. Steps, in order of worth:
  ssl_step      updates/s, memory and share of the matrix rate of wav2vec 2.0 base in bfloat16: ours, stock fairseq
  labels        speech per second that a Whisper of base's shape labels: our engine, openai-whisper
  embeddings    recordings per second of wav2vec 2.0 base: ours, a plain loop over transformers; equal outputs checked
  lip_reading   frames/s of training the published lip reader in bfloat16: from memory, through the loader; front end
  pretraining   Catalan: pre-training for 4 minutes at most, then CTC on 10 minutes of labels against random weights

Each has a time limit, and what is left of the 9 minutes goes to the last. A step that fails is in the file with its
error, and the others go on. The exit status is 0 when all succeeded.
"""

import argparse
import contextlib
import functools
import hashlib
import os
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
STEPS = ("ssl_step", "labels", "embeddings", "lip_reading", "pretraining")
# Seconds of a step, of 9 minutes; the last one gets what is left.
LIMITS_S = {"ssl_step": 110.0, "labels": 80.0, "embeddings": 60.0, "lip_reading": 50.0}
MINUTES = 9.0
LEAST_S = 5.0  # no step begins with less
PACKAGES = (
    *("torch", "torchaudio", "numpy", "fairseq-fixed", "hydra-core", "omegaconf", "av", "soundfile"),
    *("transformers", "tokenizers", "openai-whisper", "espeakng-loader"),
)


def parse_args() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="tests/gpu/run.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/gpu"),
        help="new or empty folder for results.json (default: runs/gpu)",
    )
    parser.add_argument(
        "--work", type=Path, help="corpus, trainings, logs: 1 GB (default: work in the folder of --out)"
    )
    parser.add_argument(
        "--steps", default=",".join(STEPS), metavar="A,B,...", help="steps to run (default: all)"
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for everything (default: 9)")
    parser.add_argument(
        "--device", choices=["cuda", "cpu"], help="default: cuda; cpu with --tiny where there is no GPU"
    )
    parser.add_argument(
        "--tiny", action="store_true", help="toys of everything: does it run, not how well or how fast"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(10, os.cpu_count() or 1),
        help="processes that make the corpus (default: 10, or as many as there are cores)",
    )
    parser.add_argument("--commit", default="", help="commit of this code, where git is not at hand")
    # When run.sh began, s since 1970.
    parser.add_argument("--began", type=float, default=time.time(), help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.steps = args.steps.split(",")
    if unknown := set(args.steps) - set(STEPS):
        parser.error(f"--steps: no step {', '.join(sorted(unknown))}; choose from {', '.join(STEPS)}")
    if args.out.exists() and any(args.out.iterdir()):
        parser.error(f"--out {args.out}: the folder is not empty; choose another, or remove it")
    args.out = args.out.resolve()
    args.work = (args.work or args.out / "work").resolve()
    if (args.work / "found").exists():
        parser.error(f"--work {args.work}: a run has used this folder; choose another, or remove it")
    return args


def choose_device(args: argparse.Namespace) -> str:
    """Return the device, without starting CUDA: the forks start it."""
    import torch

    has_gpu = torch.cuda.device_count() > 0
    if args.device == "cuda" and not has_gpu:
        sys.exit("tests/gpu/run.sh: --device cuda: torch sees no GPU here")
    if args.device or has_gpu or args.tiny:
        return args.device or ("cuda" if has_gpu else "cpu")
    sys.exit(
        "tests/gpu/run.sh: torch sees no GPU here; give --tiny for a trial run on the CPU, or --device cpu"
    )


def machine(device: str) -> dict[str, Any]:
    """Return what the run was on; starts CUDA."""
    import platform

    import torch

    found: dict[str, Any] = {
        "device": "cpu",
        "cpu_cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    found |= {"torch": torch.__version__, "cuda": torch.version.cuda}
    if device == "cuda" and not torch.cuda._is_in_bad_fork():  # else each step says why it fails
        gpu = torch.cuda.get_device_properties(0)
        found |= {"device": gpu.name, "memory_mb": round(gpu.total_memory / 1e6)}
        found |= {"compute_capability": f"{gpu.major}.{gpu.minor}"}
    return found


def packages() -> dict[str, str]:
    """Return the versions of the packages that matter; empty for one that is not there."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def code_sha256() -> str:
    """Return a hash of the code that is measured, by which a copy without git can be told from its commit."""
    digest = hashlib.sha256()
    recipes = ("recipes/catalan_ssl", "recipes/vsr_low_resource")
    folders = ("fairseq_ext", *recipes, "tests/bench", "tests/gpu", "tools")
    for path in sorted(p for folder in folders for p in (REPOSITORY / folder).rglob("*")):
        if path.suffix in {".py", ".sh", ".yaml"}:
            digest.update(f"{path.relative_to(REPOSITORY)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def about(args: argparse.Namespace, device: str) -> dict[str, Any]:
    """Return what holds for the whole run."""
    from forks import in_fork

    from fairseq_ext.scoring import provenance

    return {
        "what": "toys of everything, for a test: no figure here means anything" if args.tiny else "measured",
        "command": shlex.join(["tests/gpu/run.sh", *sys.argv[1:]]),
        "commit": args.commit or provenance.commit(),
        "code_sha256": code_sha256(),
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "minutes": args.minutes,
        "machine": in_fork(machine, device),
        "packages": packages(),
    }


def load_steps() -> dict[str, ModuleType]:
    """Import fairseq and the plugin, once for all forks, then the steps: see `train_all.load_trainer` for the order."""
    import warnings

    from train_all import load_trainer

    warnings.simplefilter("ignore")  # of fairseq and torch, in every fork
    load_trainer(REPOSITORY / "fairseq_ext")
    # Several forks need it, and it takes seconds; steps that need it fail where it is missing. None of this asks CUDA.
    with contextlib.suppress(ImportError):
        import transformers
        import whisper  # noqa: F401

        # modules that transformers imports at first use
        _ = transformers.Wav2Vec2Model, transformers.WhisperForConditionalGeneration
    import embeddings
    import labels
    import lip_reading
    import pretraining
    import updates

    return dict(zip(STEPS, (updates, labels, embeddings, lip_reading, pretraining), strict=True))


@dataclass(frozen=True)
class Step:
    """A step and what it gets.

    Attributes:
        name: name of the step.
        module: has `settings` and `run`.
        seconds: it is ended after so many.
        work: folder of the run's files.
    """

    name: str
    module: ModuleType
    seconds: float
    work: Path

    def run(self, device: str, tiny: bool, update: Callable[..., None]) -> str:
        """Run in a fork; return its state, and pass on what it finds as it finds it."""
        from forks import FORK
        from results import read_json

        chosen = self.module.settings(device, tiny=tiny, seconds=self.seconds)
        found = self.work / "found" / f"{self.name}.json"
        update(state="running", limit_s=round(self.seconds), config=asdict(chosen))
        start = time.monotonic()
        process = FORK.Process(target=_in_group, args=(self, chosen, device, found))
        process.start()
        before: dict[str, Any] = {}
        try:
            while process.exitcode is None and time.monotonic() - start < self.seconds:
                process.join(0.5)
                if (now := read_json(found)) != before:
                    before = now
                    update(**now, seconds=round(time.monotonic() - start, 1))
            is_late = process.exitcode is None
        finally:
            end_group(process.pid)
            process.join()
        update(**read_json(found), seconds=round(time.monotonic() - start, 1))
        if is_late:
            return "timed out"
        if (process.exitcode or 0) < 0:
            update(error=f"ended by signal {-(process.exitcode or 0)}")
        return "failed" if process.exitcode else "succeeded"


def _in_group(step: Step, chosen: Any, device: str, found: Path) -> None:
    """Run a step in a process group of its own, which ends as a whole."""
    from forks import check_cuda
    from results import StepReport, say

    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    report = StepReport(found)
    try:
        check_cuda(device)
        (step.work / step.name).mkdir()
        step.module.run(chosen, step.work / step.name, report)
    except BaseException as error:
        report(error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc().splitlines()[-30:])
        say(f"{step.name}: failed: {error}")
        os._exit(1)


def end_group(pid: int | None) -> None:
    """Kill what is left of a process group."""
    with contextlib.suppress(ProcessLookupError):
        if pid:
            os.killpg(pid, signal.SIGKILL)


def main() -> None:
    """Run the steps, one after another."""
    args = parse_args()
    device = choose_device(args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` ends what was started
    import corpus

    for folder in (args.out, args.work / "found"):
        folder.mkdir(parents=True, exist_ok=True)
    making = None
    if "pretraining" in args.steps:
        making = corpus.start(args.work / "corpus", jobs=args.jobs, tiny=args.tiny)
    try:
        succeeded = run_steps(args, device)
    finally:
        end_group(making.pid if making else None)
    sys.exit(0 if succeeded else 1)


def run_steps(args: argparse.Namespace, device: str) -> bool:
    """Run the steps and write results.json; return whether all succeeded."""
    modules = load_steps()
    from results import Results, say

    results = Results(args.out / "results.json", about(args, device), args.began)
    results.write()
    say(f"{results.content['machine']['device']}, commit {results.content['commit']}: {results.path}")
    for name in args.steps:
        left_s = args.began + 60 * args.minutes - time.time()
        seconds = left_s
        if name in LIMITS_S and not args.tiny:  # toys have none: on a busy machine it would measure that
            seconds = min(left_s, LIMITS_S[name] * args.minutes / MINUTES)
        if seconds < LEAST_S:
            state = f"left out: {max(0.0, seconds):.0f} s were left"
        else:
            say(f"{name}: {seconds:.0f} s at most")
            step = Step(name, modules[name], seconds, args.work)
            state = step.run(device, args.tiny, functools.partial(results.update, name))
        results.update(name, state=state)
        say(f"{name}: {state}")
    say(f"{results.content['seconds']:.0f} s in all")
    return results.succeeded


if __name__ == "__main__":
    main()
