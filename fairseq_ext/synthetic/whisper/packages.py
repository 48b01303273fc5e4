"""The packages of other Whispers, imported when they are needed (some take seconds) or missed with an advice."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

_ADVICE = "run pip install -e .[whisper,hf]"


def need(module: str) -> Any:
    """Imports a module of transformers, tokenizers, ctranslate2, faster-whisper or openai-whisper.

    Args:
        module: its name, e.g. "ctranslate2.converters".

    Returns:
        The module.

    Raises:
        ImportError: with what to install, when it is not there.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"tiny Whisper: the module {module} expected, found {error}; {_ADVICE}") from error


def vocabulary_file() -> Path:
    """The multilingual vocabulary inside openai-whisper, found without the seconds that its import takes.

    Returns:
        The path of `multilingual.tiktoken`.

    Raises:
        ImportError: with what to install, when openai-whisper is not there.
    """
    spec = importlib.util.find_spec("whisper")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "assets", "multilingual.tiktoken")
        if path.is_file():
            return path
    raise ImportError(f"tiny Whisper: openai-whisper and its vocabulary expected, found none; {_ADVICE}")
