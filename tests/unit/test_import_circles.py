"""No module of scoring and report imports, even for its types only, one that imports it."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "fairseq_ext"


def imported(path: Path) -> set[Path]:
    """Return the modules of this package that a module imports, wherever in the file."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            names = [base / alias.name for alias in node.names]
            modules = [place(name) for name in names]
            # A name that is no module lies in the module or package it is imported from.
            found |= {m for m in modules if m} or {m for m in [place(base)] if m}
    return found - {path}


def place(module: Path) -> Path | None:
    """Return the file of a module or package, or None when there is none."""
    options = (module.with_name(f"{module.name}.py"), module / "__init__.py")
    return next((path for path in options if path.is_file()), None)


def test_scoring_and_report_have_no_import_circle() -> None:
    files = [*(PACKAGE / "scoring").rglob("*.py"), *(PACKAGE / "report").rglob("*.py")]
    graph = {path: imported(path) for path in files}
    assert PACKAGE / "report" / "run.py" in graph[PACKAGE / "report" / "page.py"]
    TopologicalSorter(graph).prepare()  # raises CycleError, which lists the circle
    upwards = [path for path in files if "scoring" in path.parts for m in graph[path] if "report" in m.parts]
    assert upwards == []
