"""Fixture of the module of work."""

from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def jobs_work(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module of work, importable here and in worker processes."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import jobs_work

    return jobs_work
