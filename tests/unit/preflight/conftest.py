"""A healthy folder of recordings and manifests, and a copy of it to damage."""

import shutil
from pathlib import Path

import pytest
from unit.preflight.folder import SPLITS, edit, write_healthy


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with audio/ and manifest/ of three splits."""
    base = tmp_path_factory.mktemp("healthy")
    write_healthy(base)
    return base


@pytest.fixture
def planted(healthy: Path, tmp_path: Path) -> Path:
    """Copy the healthy folder, to be damaged."""
    base = tmp_path / "copy"
    shutil.copytree(healthy, base)
    for split in SPLITS:
        edit(base, f"{split}.tsv", lambda text: text.replace(str(healthy), str(base)))
    return base
