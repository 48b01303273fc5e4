"""Packages that not every installation has: all imports go through one place, and each has an extra that brings it."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from fairseq_ext import optional

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = sorted((REPOSITORY / "fairseq_ext").rglob("*.py"))
# As they are imported: install_requires of setup.py.
REQUIRED = {
    "av",
    "editdistance",
    "fairseq",
    "fairseq_cli",
    "hydra",
    "num2words",
    "numpy",
    "omegaconf",
    "sentencepiece",
    "soundfile",
    "tabulate",
    "tensorboardX",
    "torch",
    "torchaudio",
    "tqdm",
}


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Return the packages that import statements name, with their lines, without those for the type checker only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0], node.lineno
        yield from imported(node)


def test_import_statements_name_required_packages_only() -> None:
    allowed = REQUIRED | sys.stdlib_module_names | {"fairseq_ext"}
    wrong = [
        f"{path.relative_to(REPOSITORY)}:{line}: {package}: import it with optional.import_optional"
        for path in MODULES
        for package, line in imported(ast.parse(path.read_text(encoding="utf-8")))
        if package not in allowed
    ]
    assert wrong == []


def test_optional_imports_have_an_extra() -> None:
    for path in MODULES:
        names = re.findall(r'import_optional\(\s*"(\w+)', path.read_text(encoding="utf-8"))
        assert set(names) <= {*optional.EXTRAS, "torch"}, path


def extras() -> dict[str, set[str]]:
    """Return the distributions that each extra of setup.py names."""
    tree = ast.parse((REPOSITORY / "setup.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXTRAS":
            wanted = ast.literal_eval(node.value)
            return {extra: set(map(name_of, packages)) for extra, packages in wanted.items()}
    raise AssertionError("setup.py has no EXTRAS")


def name_of(requirement: str) -> str:
    """Normalised name of the distribution that a requirement asks for."""
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_the_extra_of_a_package_installs_it() -> None:
    installed = metadata.packages_distributions()
    for package, extra in optional.EXTRAS.items():
        if package not in installed:
            pytest.skip(f"{package} is not installed")
        # cv2 may have been brought by either of two builds of OpenCV
        found = {name_of(name) for name in installed[package]}
        named = extras()[extra]
        brought = named | {name_of(r) for name in named for r in metadata.requires(name) or ()}
        assert found & brought, (package, extra)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(
        ImportError, match=r"^captum is not installed; run pip install 'fairseq-ext\[analysis\]'$"
    ):
        optional.import_optional("captum")
    with pytest.raises(ImportError, match=r"captum is not installed; run pip install 'fairseq-ext\[all\]'"):
        optional.import_optional("captum", extra="all")
    with pytest.raises(
        ImportError, match=r"^json cannot be imported \(No module named 'json\.nothing'.*; run pip"
    ):
        optional.import_optional("json.nothing")


# Imports of everything but the requirements end as if it were not installed.
BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Block())
"""
IMPORT_ALL = """
import fairseq_ext
from fairseq_ext.commands import main
for name, module in main.find_commands().items():
    main.load_command(module)
    try:
        main.main([*name.split(), "--help"])
    except SystemExit as end:
        assert end.code == 0, (name, end.code)
"""


def run_without(blocked: set[str], code: str) -> "subprocess.CompletedProcess[str]":
    """Run code where packages are not installed."""
    program = BLOCK.format(blocked=blocked) + code
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_all_commands_import_without_extras() -> None:
    done = run_without({*optional.EXTRAS, "torch", "fairseq"}, IMPORT_ALL)
    assert done.returncode == 0, done.stderr


def test_commands_name_the_extra_they_need(digits_run: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").touch()
    mouth = f"--source {tmp_path}/videos --out {tmp_path}/clips --workers 0"
    (tmp_path / "scores").symlink_to(digits_run / "scores")
    for command, options, package, extra in (
        ("prepare mouth", mouth, "cv2", "video"),
        ("report page", str(tmp_path), "matplotlib", "analysis"),
    ):
        arguments = [*command.split(), *options.split()]
        code = f"from fairseq_ext.commands import main\nmain.main({arguments!r})"
        # fairseq needs scikit-learn itself
        done = run_without(set(optional.EXTRAS) - {"sklearn", "scipy", "threadpoolctl"}, code)
        assert done.returncode == 1
        expected = (
            f"fairseq-ext {command}: {package} is not installed; run pip install 'fairseq-ext[{extra}]'\n"
        )
        assert done.stderr.endswith(expected), done.stderr[-2000:]
