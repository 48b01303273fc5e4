"""The packages that run a Whisper, imported where they are used."""

import importlib
from typing import Any


def import_optional(module: str, extra: str = "whisper") -> Any:
    """Imports a module of faster-whisper, ctranslate2, openai-whisper, transformers or tokenizers.

    Args:
        module: its dotted name.
        extra: extra of the package that installs it.

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
            f"run pip install -e .[{extra}]"
        ) from error


def reason(error: Exception) -> str:
    """Shortens what a package says of a failure; those that download models write paragraphs.

    Args:
        error: that it raised.

    Returns:
        Its first line without the full stop, or its kind.
    """
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
