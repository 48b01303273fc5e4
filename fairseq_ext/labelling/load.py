"""From a model's name or path to what runs it."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from ..optional import import_optional, reason
from .devices import Hardware
from .engine import Decoding, Engine
from .faster_whisper import FasterWhisper
from .openai import OpenAiWhisper
from .transformers import TransformersWhisper

KINDS = ("faster-whisper", "openai", "transformers")
CTC = "ctc"  # our own recogniser, of checkpoints.ctc_labeller


def find_kind(model: str) -> str:
    """Tells the format of a model by its files.

    Args:
        model: a folder, a file or a name.

    Returns:
        One of `KINDS`, or `CTC` for a checkpoint of fairseq; a name is faster-whisper's.

    Raises:
        ValueError: for files of no known format, and a path where there is nothing.
    """
    path = Path(model)
    if path.is_dir():
        return _kind_of_folder(path)
    if path.is_file():
        return _kind_of_file(path)
    if os.sep in model.rstrip(os.sep) and (model.startswith((".", os.sep, "~")) or model.count(os.sep) > 1):
        raise ValueError(f"{model}: a model expected, found nothing there; mend the path")
    return "faster-whisper"


def _kind_of_folder(folder: Path) -> str:
    if (folder / "model.bin").is_file():
        return "faster-whisper"
    if (folder / "config.json").is_file() and (
        any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*"))
    ):
        return "transformers"
    raise ValueError(
        f"{folder}: model.bin (CTranslate2), or config.json with *.safetensors (transformers), expected, found "
        f"{sorted(p.name for p in folder.iterdir())[:8]}; give the folder that holds the model"
    )


def _kind_of_file(path: Path) -> str:
    torch = import_optional("torch")
    try:
        # Fairseq's files hold objects that are not to be built here; names of the outermost keys are enough.
        with torch.serialization.skip_data(), torch.serialization.safe_globals([]):
            found = torch.load(path, map_location="meta", weights_only=True)
    except Exception:  # whatever a file that is none may cause
        found = None
    if isinstance(found, dict) and "dims" in found:
        return "openai"
    if found is None or "model" in found:
        return CTC
    raise ValueError(
        f"{path}: a checkpoint of openai-whisper or fairseq expected, found keys {sorted(found)[:8]}"
    )


def load_engine(
    model: str,
    kind: str = "auto",
    *,
    device: str = "auto",
    compute_type: str = "auto",
    batch_size: int = 8,
    num_threads: int = 1,
    decoding: Decoding | None = None,
) -> Engine:
    """Loads a Whisper.

    Args:
        model: a folder of CTranslate2's or the Hugging Face's format, a `.pt` of openai-whisper, or a name
            ("large-v2"), which is downloaded.
        kind: of `KINDS`; "auto": told by the files.
        device: "cpu", "cuda", "cuda:1" or "auto".
        compute_type: "int8", "float16", "float32", ...; "auto": the quickest that keeps the texts.
        batch_size: windows at once.
        num_threads: of a CPU.
        decoding: how texts are searched for.

    Returns:
        The engine.

    Raises:
        ValueError: for an unknown kind, a model that cannot be loaded, and a checkpoint of fairseq.
        ImportError: when its package is not installed.
    """
    kind = find_kind(model) if kind == "auto" else kind
    if kind not in KINDS:
        advice = "use checkpoints.ctc_labeller (--kind ctc)" if kind == CTC else "change the kind"
        raise ValueError(f"{model}: a model of {KINDS} expected, found {kind!r}; {advice}")
    path = Path(model).resolve()
    # Many folders are called ct2 or hf: the one above tells which.
    name = "/".join(path.parts[-2:]) if path.is_dir() else path.name if path.exists() else model
    if kind == "faster-whisper":
        make: Any = partial(FasterWhisper, _local_folder(model))
    else:
        make = partial(OpenAiWhisper if kind == "openai" else TransformersWhisper, model)
    hardware = Hardware(device, compute_type, batch_size, num_threads)
    engine: Engine = make(name=name, hardware=hardware, decoding=decoding or Decoding())
    return engine


def _local_folder(model: str) -> str:
    if Path(model).exists():
        return model
    download = import_optional("faster_whisper.utils").download_model
    try:
        folder: str = download(model)
    except Exception as error:  # of the hub, of HTTP, of the network
        raise ValueError(
            f"{model}: a folder here, or a name of faster-whisper's that can be downloaded, expected, found neither "
            f"({reason(error)}); give the path of a model's folder"
        ) from error
    return folder
