"""The layers of the package: pyproject.toml, the map in `fairseq_ext/__init__.py` and README.md list the same ones."""

import re
import tomllib
from pathlib import Path

import fairseq_ext

REPOSITORY = Path(__file__).resolve().parents[2]


def contract() -> list[set[str]]:
    """Return the layers that import-linter checks, from the top."""
    content = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = content["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [set(re.findall(r"fairseq_ext\.(\w+)", layer)) for layer in layers]


def test_map_of_the_package_has_the_layers_of_the_contract() -> None:
    lines = re.findall(r"^    ([a-z_, ]+): ", fairseq_ext.__doc__ or "", re.MULTILINE)
    assert [set(line.split(", ")) for line in lines] == contract()


def test_readme_has_the_layers_of_the_contract() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| layer | what |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == contract()


def test_every_module_of_the_package_is_in_a_layer() -> None:
    folder = REPOSITORY / "fairseq_ext"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert set[str]().union(*contract()) == modules | packages


def test_links_in_pages_lead_to_files() -> None:
    pages = [
        REPOSITORY / "README.md",
        *REPOSITORY.glob("recipes/**/*.md"),
        *REPOSITORY.glob("manifests/**/*.md"),
    ]
    for page in pages:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page}: {link}"


def test_guided_tour_names_what_its_files_define() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    tour = readme.partition("## Ten minutes")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| \[`([^`]+)`\][^|]*\| ([^|]+) \|", tour, re.MULTILINE)
    assert len(rows) == 6
    for path, names in rows:
        source = (REPOSITORY / path).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"^\s*(?:def|class) {name}\b", source, re.MULTILINE), f"{path}: {name}"
