"""The recipe to copy, from nothing to its report."""

import pytest
from recipes.every_smoke import *  # noqa: F403 - tests of what every recipe's smoke run leaves
from recipes.launching import REPOSITORY

pytestmark = pytest.mark.recipe
RECIPE = REPOSITORY / "recipes" / "TEMPLATE"
