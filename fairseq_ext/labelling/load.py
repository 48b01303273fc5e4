"""Load the engine for a model, given by name or path."""

import os
from collections.abc import Callable
from pathlib import Path

from ..optional import import_optional, reason
from ..text.language_codes import WHISPER, read_codes
from ..text.languages import check_code
from ..torch_files import TorchFileError, check_sound, loading
from .devices import Hardware
from .engine import Decoding, Engine
from .faster_whisper import FasterWhisper
from .openai import OpenAiWhisper
from .transformers import TransformersWhisper

ENGINES: dict[str, Callable[..., Engine]] = {
    "faster-whisper": FasterWhisper,
    "openai": OpenAiWhisper,
    "transformers": TransformersWhisper,
}
KINDS = tuple(ENGINES)
CTC = "ctc"  # our own recogniser, loaded by inference.ctc_labeller, which imports fairseq


def find_kind(model: str) -> str:
    """Return the engine, of `KINDS` or `CTC`, for a folder, a file, or a name that faster-whisper can download.

    Raises:
        ValueError: for files in no known format, and for a path that does not exist.
    """
    path = Path(model)
    if path.is_dir():
        return _kind_of_folder(path)
    if path.is_file():
        return _kind_of_file(path)
    if os.sep in model.rstrip(os.sep) and (model.startswith((".", os.sep, "~")) or model.count(os.sep) > 1):
        raise ValueError(f"{model}: this path does not exist; correct it")
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
        # The outermost keys are enough; fairseq's checkpoints pickle objects that should not be built for that.
        with loading(path), torch.serialization.skip_data(), torch.serialization.safe_globals([]):
            found = torch.load(path, map_location="meta", weights_only=True)
    except TorchFileError as error:
        if error.is_damaged:
            raise
        found = None
    if isinstance(found, dict) and "dims" in found:
        return "openai"
    # None: a checkpoint of fairseq with such objects, or no checkpoint, which its loader reports.
    if found is None or "model" in found:
        return CTC
    raise ValueError(
        f"{path} is not a checkpoint of openai-whisper or fairseq: its keys are {sorted(found)[:8]}; give another file"
    )


def check_languages(text: str, kind: str) -> tuple[str, ...]:
    """Read the languages for a kind of engine, without its model; raise ValueError for one that no such model knows."""
    # of a CTC model the user states the language, which may have no code of two letters
    codes = tuple(text.split(","))
    if kind == CTC and len(codes) == 1:
        check_code(text)
        return codes
    return read_codes(text, WHISPER)


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
    """Load a Whisper; for device, type, batch and threads see `Hardware`.

    Args:
        model: a folder in CTranslate2's or Hugging Face's format, a `.pt` of openai-whisper, or a name
            ("large-v2"), which is downloaded.
        kind: one of `KINDS`; "auto": found from the files.
        decoding: settings of the search for texts; None = the defaults of `Decoding`.

    Raises:
        ValueError: for an unknown kind, a model that cannot be loaded, and a checkpoint of fairseq.
        ImportError: when the engine's package is not installed.
    """
    kind = find_kind(model) if kind == "auto" else kind
    if kind not in KINDS:
        advice = "use inference.ctc_labeller (--kind ctc)" if kind == CTC else "change the kind"
        raise ValueError(f"{model}: kind {kind!r} is not one of {KINDS}; {advice}")
    path = Path(model).resolve()
    for file in [path] if path.is_file() else path.glob("pytorch_model*.bin"):
        check_sound(file)  # the packages load it without comparing its checksums
    # With the folder above: many folders are called ct2 or hf.
    name = "/".join(path.parts[-2:]) if path.is_dir() else path.name if path.exists() else model
    source = _local_folder(model) if kind == "faster-whisper" else model  # the others download by themselves
    hardware = Hardware(device, compute_type, batch_size, num_threads)
    return ENGINES[kind](source, name=name, hardware=hardware, decoding=decoding or Decoding())


def _local_folder(model: str) -> str:
    if Path(model).exists():
        return model
    download = import_optional("faster_whisper.utils").download_model
    try:
        folder: str = download(model)
    except Exception as error:  # of the hub, of HTTP, of the network
        raise ValueError(
            f"{model}: this is no folder, and faster-whisper cannot download a model of this name ({reason(error)}); "
            "give the path of a model's folder"
        ) from error
    return folder
