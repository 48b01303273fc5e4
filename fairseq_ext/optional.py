"""Packages that not every installation has: which extra of `setup.py` brings them, and what to say without it."""

import importlib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .file_errors import explain

# Package, as it is imported -> the extra of setup.py that installs it. They are imported by `import_optional` only; a
# test sees to it.
EXTRAS = {
    "captum": "analysis",
    "PIL": "analysis",  # with matplotlib
    "jinja2": "analysis",
    "markupsafe": "analysis",  # with jinja2
    "matplotlib": "analysis",
    "plotly": "analysis",
    "parselmouth": "prosody",
    "pyarrow": "analysis",
    "scipy": "analysis",  # with scikit-learn
    "sklearn": "analysis",
    "threadpoolctl": "analysis",  # with scikit-learn
    "umap": "analysis",
    "xgboost": "analysis",
    "cv2": "video",
    "mediapipe": "video",
    "ctranslate2": "whisper",
    "faster_whisper": "whisper",
    "tokenizers": "whisper",
    "transformers": "whisper",
    "whisper": "whisper",
    "safetensors": "hf",
    "submitit": "slurm",
    "espeakng_loader": "synthetic",
}


def import_optional(module: str, *, extra: str = "") -> Any:
    """Import a module of a package that not every installation has.

    Args:
        module: its dotted name.
        extra: the extra that installs it; empty = that of `EXTRAS`.

    Raises:
        ImportError: if it cannot be imported; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        extra = extra or EXTRAS.get(package, "")
        raise ImportError(_message(package, extra, error), name=error.name) from error


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed, by the names that pip knows."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _message(package: str, extra: str, error: ImportError) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        problem = f"{package} is not installed"
    else:
        problem = f"{package} cannot be imported ({reason(error)})"
    wanted = f"'fairseq-ext[{extra}]'" if extra else package
    return f"{problem}; run pip install {wanted}"


def describe(error: Exception) -> str:
    """Describe an error in a line: a missing package with the extra to install, a file with its path."""
    if isinstance(error, ModuleNotFoundError) and (package := (error.name or "").partition(".")[0]) in EXTRAS:
        return _message(package, EXTRAS[package], error)
    if isinstance(error, OSError) and error.errno is not None:
        return explain(error)
    return str(error) or type(error).__name__


def reason(error: Exception) -> str:
    """Return the first line of a message without its full stop; packages that download models write paragraphs."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
