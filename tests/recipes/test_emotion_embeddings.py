"""Emotions from frozen embeddings, from the built-in CREMA-D to the report."""

from pathlib import Path

import pytest
from recipes.every_smoke import *  # noqa: F403 - tests of what every recipe's smoke run leaves
from recipes.launching import REPOSITORY, SMOKE, launch, results, speakers, wait

pytestmark = pytest.mark.recipe
RECIPE = REPOSITORY / "recipes" / "emotion_embeddings"
