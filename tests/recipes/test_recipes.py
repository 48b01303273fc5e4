"""Help, wrong options and committed results of every recipe; help of every tool."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from recipes.launching import REPOSITORY, SMOKE, finish, launch, wait

from fairseq_ext.report.results import stale_results_page

pytestmark = pytest.mark.recipe
RECIPES = sorted(path.parent for path in (REPOSITORY / "recipes").glob("*/run.sh"))
TOOLS = sorted((REPOSITORY / "tools").glob("*.py"))

every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: str(path.name))


@every_recipe
def test_a_file_of_tests_makes_the_smoke_run(recipe: Path) -> None:
    tests = Path(__file__).with_name(f"test_{recipe.name.lower()}.py").read_text(encoding="utf-8")
    assert "from recipes.every_smoke import *" in tests


@every_recipe
def test_help_lists_options_and_stages(recipe: Path, tmp_path: Path) -> None:
    text = finish(recipe, tmp_path / "none", "--help")
    for option in ("--corpus", "--out", "--stage", "--smoke", "--seeds"):
        assert option in text
    assert re.search(r"stages: 0 \w+", text)
    assert not (tmp_path / "none").exists()


WRONG = [
    pytest.param(("--no-such-option", "1"), r"--no-such-option: no such option", id="option"),
    pytest.param(("--stage", "nowhere"), r"nowhere: no such stage; choose from: 0 ", id="stage"),
    pytest.param(
        ("--stage", "1", "--stop-stage", "0"), r"--stop-stage data: comes before --stage", id="order"
    ),
    pytest.param(("--stop-stage", "99"), r"99: no such stage", id="stop-stage"),
    pytest.param(("--corpus",), r"--corpus: a value is missing", id="value"),
    pytest.param((), r"--corpus (is missing|''): .*give ", id="no-corpus"),
    pytest.param(("--corpus", "/no/such/folder"), r"--corpus.*/no/such/folder", id="missing-corpus"),
    pytest.param((*SMOKE, "--seeds", "many"), r"--seeds many: ", id="seeds"),
    pytest.param((*SMOKE, "--jobs", "0"), r"--jobs 0: ", id="jobs"),
]


@every_recipe
@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options_end_with_one_line(
    recipe: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "run"
    assert wait(launch(recipe, out, *options), 60) != 0
    lines = (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()
    complaints = [line for line in lines if not re.match(r"\[\d\d:\d\d\] stage", line)]
    assert len(complaints) == 1
    assert re.search(message, complaints[0])
    assert complaints[0].startswith(f"recipes/{recipe.name}/run.sh: ")


@pytest.mark.parametrize("tool", TOOLS, ids=lambda path: str(path.name))
def test_tool_explains_itself_without_fairseq(tool: Path) -> None:
    program = [sys.executable, "-X", "importtime", str(tool), "--help"]
    result = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.startswith("usage:")
    assert not re.findall(r"\| +(fairseq|torch)$", result.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in (REPOSITORY / "recipes").rglob("results.json")}), ids=str
)
def test_committed_results_page_is_what_its_figures_give(folder: Path) -> None:
    assert stale_results_page(folder) is None


@every_recipe
def test_recipe_is_executable(recipe: Path) -> None:
    assert os.access(recipe / "run.sh", os.X_OK)
