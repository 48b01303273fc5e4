"""What is registered: our own names, our own classes, nothing forgotten."""

import ast
import importlib
from pathlib import Path

import fairseq.registry
import pytest
from fairseq.dataclass import FairseqDataclass
from fairseq.models import ARCH_MODEL_REGISTRY, MODEL_DATACLASS_REGISTRY, MODEL_REGISTRY
from fairseq.tasks import TASK_DATACLASS_REGISTRY, TASK_REGISTRY

import fairseq_ext
import fairseq_ext.models  # noqa: F401 - registers models
import fairseq_ext.tasks  # noqa: F401 - registers tasks and criterions

PACKAGE = Path(fairseq_ext.__file__).parent
FOLDERS = ("models", "criterions", "tasks")
DECORATORS = {"models": "register_model", "criterions": "register_criterion", "tasks": "register_task"}


def registry(kind: str) -> dict[str, type]:
    """Name -> class of everything that fairseq knows of a kind."""
    criterions = fairseq.registry.REGISTRIES["criterion"]["registry"]
    return {"models": MODEL_REGISTRY, "tasks": TASK_REGISTRY, "criterions": criterions}[kind]


def dataclass_of(kind: str, name: str) -> type:
    """Return the configuration that fairseq checks keys against."""
    criterions = fairseq.registry.REGISTRIES["criterion"]["dataclass_registry"]
    found: type = {
        "models": MODEL_DATACLASS_REGISTRY,
        "tasks": TASK_DATACLASS_REGISTRY,
        "criterions": criterions,
    }[kind][name]
    return found


def sources(kind: str) -> list[Path]:
    """Return the files of registered names; code they share lies in files that begin with an underscore."""
    return [path for path in sorted((PACKAGE / kind).glob("*.py")) if not path.stem.startswith("_")]


def names_in(path: Path, kind: str) -> list[str]:
    """Names that a file asks fairseq to register, read from its source."""
    calls = [
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    ]
    return [
        str(call.args[0].value)
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id == DECORATORS[kind]
        and isinstance(call.args[0], ast.Constant)
    ]


FILES = [pytest.param(kind, path, id=f"{kind}/{path.name}") for kind in FOLDERS for path in sources(kind)]


@pytest.mark.parametrize(("kind", "path"), FILES)
def test_file_registers_exactly_the_name_it_is_called_by(kind: str, path: Path) -> None:
    assert names_in(path, kind) == [f"ext_{path.stem}"]


@pytest.mark.parametrize(("kind", "path"), FILES)
def test_name_resolves_to_the_class_in_that_file(kind: str, path: Path) -> None:
    # fairseq silently keeps its own class when a task or a model of that name exists
    module = f"fairseq_ext.{kind}.{path.stem}"
    assert registry(kind)[f"ext_{path.stem}"].__module__ == module
    assert dataclass_of(kind, f"ext_{path.stem}").__module__ == module


@pytest.mark.parametrize("kind", FOLDERS)
def test_everything_of_ours_has_our_prefix(kind: str) -> None:
    ours = {name for name, found in registry(kind).items() if found.__module__.startswith("fairseq_ext")}
    assert ours == {f"ext_{path.stem}" for path in sources(kind)}


def test_class_names_are_unique_among_tasks_and_criterions() -> None:
    for kind in ("tasks", "criterions"):
        classes = [found.__name__ for found in set(registry(kind).values())]
        assert len(classes) == len(set(classes))


def test_models_can_be_named_by_architecture() -> None:
    assert all(f"ext_{path.stem}" in ARCH_MODEL_REGISTRY for path in sources("models"))


@pytest.mark.parametrize(("kind", "path"), FILES)
def test_every_key_has_a_help_text(kind: str, path: Path) -> None:
    config = dataclass_of(kind, f"ext_{path.stem}")
    assert issubclass(config, FairseqDataclass)
    module = importlib.import_module(f"fairseq_ext.{kind}.{path.stem}")
    assert module.__doc__
    fields = config.__dataclass_fields__.items()
    bare = [name for name, field in fields if not name.startswith("_") and not field.metadata.get("help")]
    assert bare in ([], ["augment"])  # a group: its keys have their own
