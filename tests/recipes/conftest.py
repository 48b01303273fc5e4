"""The smoke run of a recipe, made once per file of tests."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite("recipes.launching", "recipes.every_smoke")
from recipes.launching import SMOKE, finish  # noqa: E402 - after what it rewrites


@pytest.fixture(scope="module")
def recipe(request: pytest.FixtureRequest) -> Path:
    """Return the folder of the recipe that a file of tests names RECIPE."""
    found: Path = request.module.RECIPE
    return found


@pytest.fixture(scope="module")
def smoke(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of its finished smoke run."""
    out = tmp_path_factory.mktemp(recipe.name) / "run"
    finish(recipe, out, *SMOKE)
    return out
