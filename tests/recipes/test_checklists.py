"""The checklists of recipes/README.md, followed in a copy of the repository: a recipe, a model and a corpus are added.

The commands come from the page itself, so the test fails when the page no longer describes the repository.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from recipes.launching import REPOSITORY, results

pytestmark = pytest.mark.recipe
NAMES = {"NAME": "shouts", "MODEL": "shout_cnn", "CORPUS": "shout_corpus"}
COPIED = ("fairseq_ext", "tools", "recipes", "manifests", "tests")
OPTIONS = (
    *("--corpus", "synthetic", "--smoke", "--jobs", "2"),
    *("--partitions", "leave_one_speaker_out,leaky", "--max-folds", "2"),
)
# Everything that a page has to show of classifiers that were tested on speakers left out.
SECTIONS = {"summary", "speakers", "control", "learning", "confusion", "embeddings", "examples", "provenance"}
READER = '''"""Shouts: words that were shouted. Layout: `WORD.SPEAKER.K.wav`, all in one folder."""

import wave
from collections.abc import Iterator
from pathlib import Path

from ..manifest import Utterance


def read(root: str | Path) -> Iterator[Utterance]:
    """Read the corpus.

    Args:
        root: its folder.

    Yields:
        Its utterances, sorted by name.
    """
    for path in sorted(Path(root).glob("*.wav")):
        word, speaker, _ = path.name.split(".", 2)
        with wave.open(str(path)) as file:
            yield Utterance(path.stem, path.name, file.getnframes(), transcript=word, speaker=speaker)
'''
READER_TEST = '''"""The reader of shouts, to manifests that are ready for training."""

import wave
from pathlib import Path

from fairseq_ext import preflight


def test_corpus_becomes_manifests(tmp_path: Path) -> None:
    ROOT, MANIFESTS = tmp_path / "corpus", tmp_path / "manifests"
    ROOT.mkdir()
    for name in [f"{w}.{s}.{k}" for w in ("hey", "stop") for s in ("ann", "bob", "cat") for k in (1, 2)]:
        with wave.open(str(ROOT / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(name.encode() * 1000)
<python>
    folders = sorted((MANIFESTS / "leave_one_speaker_out").iterdir())
    assert [folder.name for folder in folders] == ["ann", "bob", "cat"]
    options = preflight.Options(sample_rate_hz=8000, progress=False)
    assert all(preflight.check(folder, options).ok for folder in folders)
'''


def section(title: str) -> str:
    """Return a section of the page, with names in the place of NAME, MODEL and CORPUS."""
    page = (REPOSITORY / "recipes" / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"recipes/README.md has no section {title!r}"
    return re.sub("|".join(NAMES), lambda match: NAMES[match[0]], found[1])


def block(title: str, language: str) -> str:
    """Return the only code of a language in a section."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)
    return str(code)


def contents(root: Path) -> dict[str, bytes]:
    """Return the content of each file of a copy, but of what programs leave behind."""
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
    kept = (path for path in files if not {"runs", ".pytest_cache", ".hypothesis"} & set(path.parts))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in kept}


def changes(before: dict[str, bytes], after: dict[str, bytes]) -> tuple[set[str], set[str]]:
    """Return the names of new and of changed files."""
    assert before.keys() <= after.keys()
    return after.keys() - before.keys(), {name for name in before if after[name] != before[name]}


def attempt(root: Path, *command: str | Path) -> tuple[int, str]:
    """Run a command in the copy to its end, with the plugin of the copy; return its status and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [*map(str, command)], cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=900, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def run(root: Path, *command: str | Path) -> str:
    """Run a command that succeeds; return what it printed."""
    status, shown = attempt(root, *command)
    assert status == 0, f"{command}:\n{shown[-4000:]}"
    return shown


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the repository."""
    root = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", root)
    return root


@pytest.fixture(scope="module")
def commands() -> list[str]:
    """Return the commands that add a recipe; the last one runs it."""
    lines = block("Add a recipe", "bash").splitlines()
    assert lines[-1].startswith("recipes/shouts/run.sh --corpus synthetic --smoke")
    return lines


@pytest.fixture(scope="module")
def added(copy: Path, commands: list[str]) -> Path:
    """Return the copy with a recipe and a model, made by the commands of the page."""
    before = contents(copy)
    run(copy, "bash", "-euc", "\n".join(commands[:-1]))
    with_recipe = contents(copy)
    new, changed = changes(before, with_recipe)
    assert all(name.startswith("recipes/shouts/") or name == "tests/recipes/test_shouts.py" for name in new)
    assert not changed
    run(copy, "bash", "-euc", block("Add a model", "bash"))
    new, changed = changes(with_recipe, contents(copy))
    assert new == {"fairseq_ext/models/shout_cnn.py", "recipes/shouts/conf/shout_cnn.yaml"}
    assert changed == {"recipes/shouts/plan.yaml"}
    return copy


def test_a_copied_recipe_with_a_new_model_ends_with_every_section(added: Path) -> None:
    out = added / "runs" / "shouts"
    run(added, added / "recipes" / "shouts" / "run.sh", "--out", out, *OPTIONS)
    found = {(system["partition"].split("/")[0], system["system"]) for system in results(out)["systems"]}
    partitions, systems = ("leave_one_speaker_out", "leaky"), ("temporal_cnn", "shout_cnn")
    assert found == {(partition, system) for partition in partitions for system in systems}
    page = (out / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r'<section[^>]* id="([\w-]+)"', page)) >= SECTIONS
    assert "shout cnn" in (out / "RESULTS.md").read_text(encoding="utf-8")


def test_a_new_model_is_tested_without_being_named(added: Path) -> None:
    """Every test of models finds it, and passes, but for the one that refuses the copied expectation of its yaml."""
    files = (
        "tests/configs/test_registry.py",
        "tests/configs/test_configs.py",
        "tests/unit/test_every_model.py",
    )
    command = (sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider", "-k", "shout_cnn")
    status, shown = attempt(added, *command, *files)
    assert status == 1
    passed, failed = (
        set(re.findall(rf"^(\S+) {word}", shown, re.MULTILINE)) for word in ("PASSED", "FAILED")
    )
    assert len([name for name in passed if "test_registry" in name]) >= 2
    assert len([name for name in passed if "test_configs" in name]) >= 4
    assert len([name for name in passed if "test_every_model" in name]) >= 2
    (refused,) = failed
    assert "expectation_is_not_copied" in refused
    assert "shouts/temporal_cnn" in shown


def test_a_reader_of_another_layout_takes_three_files(copy: Path) -> None:
    before = contents(copy)
    paths = re.findall(r"^\| `([^`]+)` \|", section("Add a corpus"), re.MULTILINE)
    reader, test, page = (copy / path for path in paths)
    reader.write_text(READER, encoding="utf-8")
    code = "".join(f"    {line}\n" for line in block("Add a corpus", "python").splitlines())
    test.write_text(READER_TEST.replace("<python>\n", code), encoding="utf-8")
    page.write_text(page.read_text(encoding="utf-8") + "\n## Shouts\n\n12 recordings.\n", encoding="utf-8")
    new, changed = changes(before, contents(copy))
    assert len(new | changed) == 3
    run(copy, sys.executable, "-m", "pytest", "-q", test)
