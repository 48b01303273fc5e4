"""A model's folder as Hugging Face lays it out: JSON files and weights, whole or in shards.

Nothing here needs transformers; weights in safetensors need that package.
"""

import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..files import atomic_folder, atomic_path, atomic_write
from ..optional import import_optional
from ..torch_files import TorchFileError, loading

CONFIG = "config.json"
PREPROCESSOR, PROCESSOR = "preprocessor_config.json", "processor_config.json"
_MOST_HZ = 1_000_000
SAFETENSORS = "model.safetensors"
PICKLED = "pytorch_model.bin"


@dataclass(frozen=True)
class Folder:
    """The content of a model's folder.

    Attributes:
        config: `config.json`.
        weights: name -> tensor.
        tokens: `vocab.json` with the added tokens; None = there is no `vocab.json`.
        tokenizer: `tokenizer_config.json`, completed by `special_tokens_map.json`.
        preprocessor: how waveforms are prepared, see `_read_preprocessor`; empty = nothing says it.
    """

    config: dict[str, Any]
    weights: dict[str, Tensor]
    tokens: dict[str, Any] | None
    tokenizer: dict[str, Any]
    preprocessor: dict[str, Any]


def read_folder(folder: Path) -> Folder:
    """Read a model's folder, with `config.json`.

    Raises:
        FileNotFoundError: no configuration or no weights.
        ValueError: a file that cannot be read.
        ImportError: the weights need a package that is missing.
    """
    config = _read_json(folder / CONFIG)
    if config is None:
        raise FileNotFoundError(f"{folder}: no {CONFIG} in this folder; check the path")
    tokenizer = {
        **(_read_json(folder / "special_tokens_map.json") or {}),
        **(_read_json(folder / "tokenizer_config.json") or {}),
    }
    tokens = _read_json(folder / "vocab.json")
    if tokens is not None:
        added = tokenizer.get("added_tokens_decoder", {})  # where newer versions keep what is added
        if not (isinstance(added, dict) and all(isinstance(token, dict) for token in added.values())):
            raise ValueError(
                f"{folder}/tokenizer_config.json: added_tokens_decoder is no table of tokens; correct it"
            )
        older = _read_json(folder / "added_tokens.json") or {}
        tokens = {**{str(token["content"]): int(row) for row, token in added.items()}, **older, **tokens}
    return Folder(config, _read_weights(folder), tokens, tokenizer, _read_preprocessor(folder))


def _read_preprocessor(folder: Path) -> dict[str, Any]:
    """Read the feature extractor: part of `processor_config.json` since transformers 5, a file of its own before.

    Where both are there the former counts, as in transformers.
    """
    nested = (_read_json(folder / PROCESSOR) or {}).get("feature_extractor")
    found = nested if isinstance(nested, dict) else _read_json(folder / PREPROCESSOR) or {}
    name = folder / (PROCESSOR if isinstance(nested, dict) else PREPROCESSOR)
    if not isinstance(found.get("do_normalize", True), bool):
        raise ValueError(
            f"{name}: do_normalize true or false expected, found {found['do_normalize']!r}; correct it"
        )
    rate = found.get("sampling_rate", 1)
    if type(rate) is not int or not 0 < rate <= _MOST_HZ:
        raise ValueError(
            f"{name}: a sampling_rate of 1 to {_MOST_HZ} Hz expected, found {rate!r}; correct it"
        )
    return found


def weight_files(folder: Path) -> tuple[str, list[Path]]:
    """Return the files that hold the weights, and which kind they are: `SAFETENSORS` if there are any, or `PICKLED`.

    Raises:
        FileNotFoundError: there are none.
        ValueError: an index of shards that cannot be read.
    """
    for name in (SAFETENSORS, PICKLED):
        if (folder / name).is_file():
            return name, [folder / name]
        shards = _shards(folder, name)
        if shards is not None:
            return name, [folder / shard for shard in sorted(set(shards.values()))]
    raise FileNotFoundError(
        f"{folder}: neither {SAFETENSORS} nor {PICKLED} (nor an index of shards) in it; download it again"
    )


def _shards(folder: Path, name: str) -> dict[str, str] | None:
    """Read the index of shards: tensor -> file; None = there is none."""
    index = _read_json(folder / f"{name}.index.json")
    if index is None:
        return None
    shard_of = index.get("weight_map")
    if not isinstance(shard_of, dict) or not all(_is_name(shard) for shard in shard_of.values()):
        raise ValueError(f"{folder / name}.index.json: no weight_map of tensors to files; download it again")
    return shard_of


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """Read the weights; shards are joined."""
    name, files = weight_files(folder)
    read = _read_safetensors if name == SAFETENSORS else _read_pickled
    parts = [read(path) for path in files]
    if files == [folder / name]:
        return parts[0]
    return _join(parts, _shards(folder, name) or {}, folder / f"{name}.index.json")


def write_folder(folder: Path, files: Mapping[str, Mapping[str, Any]], weights: Mapping[str, Tensor]) -> None:
    """Write a folder that appears when it is complete; `files` maps names to the content of each JSON file.

    Raises:
        FileExistsError: something is there already.
        ImportError: safetensors is not installed.
    """
    save_file = import_optional("safetensors.torch").save_file
    if folder.exists():
        raise FileExistsError(f"{folder} exists already; remove it or choose another name")
    with atomic_folder(folder) as partial:
        for name, content in files.items():
            with atomic_write(partial / name) as file:
                file.write(json.dumps(content, ensure_ascii=False, indent=2) + "\n")
        # safetensors refuses tensors that share memory.
        tensors = {name: value.contiguous().clone() for name, value in weights.items()}
        with atomic_path(partial / SAFETENSORS) as temporary:
            temporary.touch()
            mode = temporary.stat().st_mode  # the umask's; safetensors writes files for their owner alone
            save_file(tensors, temporary, metadata={"format": "pt"})
            temporary.chmod(stat.S_IMODE(mode))


def _is_name(shard: object) -> bool:
    """Return whether an entry names a file of the folder itself."""
    return isinstance(shard, str) and shard not in {"", ".."} and Path(shard).name == shard


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # UTF-8 or JSON
        raise ValueError(f"{path} is not JSON in UTF-8 ({error}); download it again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not a JSON object; download it again")
    return content


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    load_file = import_optional("safetensors.torch").load_file
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except Exception as error:
        raise _unreadable(path, str(error)) from error
    return tensors


def _read_pickled(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise _unreadable(path, "")
    try:
        with loading(path):
            tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except TorchFileError as error:
        raise _unreadable(path, error.reason) from error
    return tensors


def _unreadable(path: Path, reason: str) -> Exception:
    if not path.is_file():
        return FileNotFoundError(f"{path}: this shard of the weights is missing; download it again")
    return ValueError(f"{path}: the weights cannot be read ({reason}); download it again")


def _join(parts: list[dict[str, Tensor]], expected: Mapping[str, str], index: Path) -> dict[str, Tensor]:
    joined = {name: value for part in parts for name, value in part.items()}
    missing = [name for name in expected if name not in joined]
    if missing:
        raise ValueError(
            f"{index}: the shards lack {len(missing)} of {len(expected)} tensors, such as {missing[0]}; download them "
            "again"
        )
    return joined
