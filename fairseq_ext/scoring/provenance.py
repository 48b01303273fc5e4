"""Where a score comes from: commit, configuration, device, and the cost and log of the training."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..labelling.merge import HUMAN
from ..line_index import AudioIndex
from ..manifest import read_labels
from ..media.sound import SAMPLE_RATE_HZ

# Sections of a training configuration that change what is learnt; the others are logging, folders and workers.
LEARNING_SECTIONS = ("task", "model", "criterion", "optimizer", "lr_scheduler", "optimization", "ema")
# The stream that says of each row who wrote its text.
LABEL_SOURCE = "label_source"
# Keys in them that differ between seeds and machines, which share a hash.
_FIRST_OF_AN_ATTEMPT = "{'_name': "  # fairseq logs its configuration first
PLACE_KEYS = ("data", "seed", "pretrained_path", "feature_store", "video_cache", "store_ema_path")


def commit() -> str:
    """Return the full hash of this checkout's commit.

    It ends in `-dirty` when tracked files differ from it, and is `unknown` outside a checkout.
    """
    folder = Path(__file__).parent
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return f"{head}-dirty" if _git(folder, "status", "--porcelain", "--untracked-files=no") else head
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    run = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return run.stdout.strip()


def plain(config: Any) -> Any:
    """Convert a configuration, any nesting of OmegaConf, dataclass, namespace or mapping, to plain JSON values.

    Interpolations are kept as text.
    """
    from omegaconf import OmegaConf

    if OmegaConf.is_config(config):
        return plain(OmegaConf.to_container(config, resolve=False, enum_to_str=True))
    if isinstance(config, Mapping):
        return {str(key): plain(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [plain(value) for value in config]
    if config is None or isinstance(config, str | int | float | bool):
        return config
    return plain(vars(config)) if hasattr(config, "__dict__") else str(config)


def augment_settings(config: Any) -> dict[str, Any]:
    """Return the augmentation that a training used: keys of `WaveformAugmentConfig` -> value, empty without."""
    settings = plain(config.task).get("augment") or {}
    return {key: value for key, value in settings.items() if not key.startswith("_")}


def config_hash(config: Any) -> str:
    """Hash the settings of a training to 12 digits: equal for equal settings, whatever the seed or folder."""
    settings = plain(config)
    chosen = {
        name: _without_places(settings[name]) for name in LEARNING_SECTIONS if settings.get(name) is not None
    }
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:12]


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(item) for key, item in value.items() if key not in PLACE_KEYS}
    return value


def device_name(device: str) -> str:
    """Return the name of a torch device: `cpu`, or the model of the GPU."""
    if not device.startswith("cuda"):
        return device
    import torch

    return torch.cuda.get_device_name(device)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the JSON lines of a fairseq training log (`common.log_format=json`, `common.log_file=...`), by update.

    fairseq adds one handler per epoch, so a line may be there many times, and a resumed run repeats updates:
    the last line of each split and update counts. Numbers, which fairseq writes as text, are converted.
    """
    unique: dict[tuple[str, float], dict[str, Any]] = {}
    for entry in _json_lines(path):
        numbers = {key: _number(value) for key, value in entry.items()}
        prefix = next((k.removesuffix("num_updates") for k in numbers if k.endswith("num_updates")), None)
        if prefix is not None:
            unique[prefix, float(numbers[f"{prefix}num_updates"])] = numbers
    return [unique[key] for key in sorted(unique, key=lambda key: key[1])]


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with Path(path).open(encoding="utf-8", errors="replace") as file:
        yield from filter(None, map(_json_entry, file))


def _json_entry(line: str) -> dict[str, Any] | None:
    """Return the object at the end of a line; None for other text, or a line cut off when the run was killed."""
    start = line.find("{")
    try:
        entry = json.loads(line[start:]) if start >= 0 else None
    except json.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) else None


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def training_seconds(path: Path) -> float | None:
    """Return the seconds that a training took in all of its attempts, s, validation included; None without times.

    The seconds of a line count from the start of the process, so they fall where a killed run was resumed, unless its
    first line comes later than the last one of the attempt before; but each attempt begins with its configuration. What
    an attempt did after its last line is missing.
    """
    if not Path(path).is_file():
        return None
    ended, last, timed = 0.0, 0.0, False
    with Path(path).open(encoding="utf-8", errors="replace") as file:
        for line in file:
            entry = _json_entry(line) or {}
            # Lines within an epoch have a `train_wall` of another meaning: the seconds since the line before.
            seconds = entry.get("train_wall" if "train_num_updates" in entry else "wall")
            if line.startswith(_FIRST_OF_AN_ATTEMPT) or (seconds is not None and float(seconds) < last):
                ended, last = ended + last, 0.0
            if seconds is not None:
                last, timed = float(seconds), True
    return ended + last if timed else None


def training_audio(config: Any, data: Path) -> tuple[int, float | None]:
    """Count the recordings and hours that a training had; 0 and None when its manifest folder lacks the split."""
    path = Path(data) / f"{config.dataset.train_subset}.tsv"
    if not path.is_file():
        return 0, None
    sizes = AudioIndex(path).sizes
    return len(sizes), float(sizes.sum(dtype="int64")) / manifest_rate_hz(config.task) / 3600


def labelled_minutes(config: Any, data: Path) -> dict[str, float | None]:
    """Return the minutes of training speech by who wrote its text.

    Returns:
        `labelled_minutes`, by people, and `automatic_minutes`, by recognisers, as the stream `label_source` says;
        without one all is by people. None where the manifest folder lacks the training split.

    Raises:
        ValueError: the stream has another number of rows.
    """
    split = config.dataset.train_subset
    path = Path(data) / f"{split}.tsv"
    if not path.is_file():
        return {"labelled_minutes": None, "automatic_minutes": None}
    sizes = AudioIndex(path).sizes
    by_people = np.ones(len(sizes), dtype=bool)
    if (Path(data) / f"{split}.{LABEL_SOURCE}").is_file():
        by_people = np.array(
            [source == HUMAN for source in read_labels(data, split, LABEL_SOURCE)], dtype=bool
        )
    if len(by_people) != len(sizes):
        raise ValueError(
            f"{data}/{split}.{LABEL_SOURCE}: {len(sizes)} rows expected, as in {split}.tsv, found {len(by_people)}; "
            "write both again"
        )
    per_minute = 60 * manifest_rate_hz(config.task)
    parts = {"labelled_minutes": sizes[by_people], "automatic_minutes": sizes[~by_people]}
    return {name: float(part.sum(dtype="int64")) / per_minute for name, part in parts.items()}


def manifest_rate_hz(task: Any) -> int:
    """Return the rate at which manifests count samples, Hz, by the task's configuration; mouth clips have one rate."""
    if isinstance(task, Mapping):
        return int(task.get("sample_rate_hz", SAMPLE_RATE_HZ))
    return int(getattr(task, "sample_rate_hz", SAMPLE_RATE_HZ))
