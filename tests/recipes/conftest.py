"""The smoke run of a recipe, made once."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite("recipes.launching", "recipes.every_smoke")
from recipes.launching import SMOKE, finish  # noqa: E402 - after what it rewrites


@pytest.fixture(scope="module")
def recipe(request: pytest.FixtureRequest) -> Path:
    """The recipe of a file of tests, which names it RECIPE."""
    found: Path = request.module.RECIPE
    return found


@pytest.fixture(scope="module")
def smoke(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of its finished smoke run."""
    out = tmp_path_factory.mktemp(recipe.name) / "run"
    finish(recipe, out, *SMOKE)
    return out
