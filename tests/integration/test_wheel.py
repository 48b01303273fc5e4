"""The package as users install it: a wheel in a folder of its own, its console command, the data beside the code."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import soundfile

from fairseq_ext.commands.main import find_commands
from fairseq_ext.manifest import Utterance, write_manifest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, because setuptools writes beside them."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "fairseq_ext", "*.toml", "*.py"],
        cwd=REPOSITORY, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    for name in filter(None, files.split("\0")):
        if (REPOSITORY / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((REPOSITORY / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", str(source), "--no-deps", "--no-build-isolation", "--wheel-dir", str(out)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = out.glob("fairseq_ext-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in a folder."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps"]
    done = subprocess.run(
        [*pip, "--target", str(target), str(wheel)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def run(installed: Path, *arguments: str | Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run the installed console command."""
    command = [sys.executable, str(installed / "bin" / "fairseq-ext"), *map(str, arguments)]
    env = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package = REPOSITORY / "fairseq_ext"
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    missing = {str(path.relative_to(REPOSITORY)) for path in files} - names
    assert missing == set()
    assert any(name.endswith(".jinja") for name in names)
    assert any(name.startswith("fairseq_ext/corpora/") and name.endswith(".tsv") for name in names)


def test_the_installed_command(installed: Path, tmp_path: Path) -> None:
    shown = run(installed, "--help", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert all(name.split()[-1] in shown.stdout for name in find_commands())
    code = "import fairseq_ext; print(fairseq_ext.__file__)"
    where = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(installed)}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(installed)


def test_every_installed_command_has_help(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from fairseq_ext.commands import main\n"
        "for name in main.find_commands():\n"
        "    try:\n"
        "        main.main([*name.split(), '--help'])\n"
        "    except SystemExit as end:\n"
        "        assert end.code == 0, name\n"
    )
    env = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: fairseq-ext ") == len(find_commands())


def test_an_installed_command_checks_a_manifest(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    for name in ("a", "b"):
        soundfile.write(tmp_path / "audio" / f"{name}.wav", [0.1, -0.1] * 800, 8000)
    for split, name in (("train", "a"), ("valid", "b")):
        rows = [Utterance(name, f"{name}.wav", 1600, speaker=name)]
        write_manifest(tmp_path / "data", split, rows, root=tmp_path / "audio")
    done = run(installed, "check", "data", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK: 0 errors" in done.stdout
    missing = run(installed, "report", "page", "nowhere", cwd=tmp_path)
    assert missing.returncode == 1
    assert missing.stderr.startswith("fairseq-ext report page: nowhere/scores: ")
