"""The one file of a run, results.json: written anew, as a whole, at every change, so that a killed run leaves it."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairseq_ext.files import atomic_write

Report = Callable[..., None]


class Results:
    """What is known so far.

    Args:
        path: where it is written.
        about: what holds for the whole run.
        began: when it began, s since 1970.
    """

    def __init__(self, path: Path, about: Mapping[str, Any], began: float) -> None:
        self.path, self._began = path, began
        self.content: dict[str, Any] = {**about, "seconds": 0.0, "steps": {}}

    def update(self, step: str, **values: Any) -> None:
        """Add to what is known about a step, and write the file."""
        self.content["steps"].setdefault(step, {}).update(values)
        self.write()

    def write(self) -> None:
        """Write the file."""
        self.content["seconds"] = round(time.time() - self._began, 1)
        write_json(self.path, self.content)

    @property
    def succeeded(self) -> bool:
        """Return whether every step that was begun came to its end."""
        return all(step["state"] == "succeeded" for step in self.content["steps"].values())


class StepReport:
    """What a step has found so far, in a file of its own, from which the process that started it copies.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, Any] = {}

    def __call__(self, **values: Any) -> None:
        """Add findings."""
        self._found.update(values)
        write_json(self.path, self._found)


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a file; nothing where it is not there yet."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file that is always whole."""
    with atomic_write(path) as file:
        json.dump(content, file, indent=1, ensure_ascii=False)
        file.write("\n")


def say(text: str) -> None:
    """Print a line with the time of day."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
