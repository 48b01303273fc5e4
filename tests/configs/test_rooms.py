"""The author of one system opens at most three folders beside fairseq's own four."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "fairseq_ext"
OWN = {"models", "criterions", "tasks", "data"}  # fairseq's
# The files that a system begins with. What they import of these folders is its author's too.
FOLLOWED = ("models", "criterions", "tasks", "data", "modules", "media/mouth")
SYSTEMS = {
    "digits": ("models/temporal_cnn", "criterions/utterance_classification", "tasks/audio_classification"),
    "simclr": ("models/temporal_cnn", "criterions/nt_xent", "tasks/audio_contrastive"),
    "accents": (
        "models/speech_classifier",
        "criterions/utterance_classification",
        "tasks/audio_classification",
    ),
    "ctc": ("models/ctc", "criterions/ctc", "tasks/audio_ctc"),
    "wav2vec2": ("models/wav2vec2", "criterions/contrastive_diversity", "tasks/audio_pretraining"),
    "mouth clips": ("media/mouth/prepare", "media/video", "commands/prepare_mouth"),
}


def imported(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the modules of ours that a file imports, as parts of their paths below the package."""
    package = path.relative_to(PACKAGE).parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*package[: -node.level], *(node.module.split(".") if node.module else ()))
            for name in node.names:
                found = PACKAGE.joinpath(*base, name.name)
                yield (*base, name.name) if found.is_dir() or found.with_suffix(".py").is_file() else base


def opened(files: tuple[str, ...]) -> set[str]:
    """Return the folders outside fairseq's four that the files of a system lie in or import from."""
    rooms: set[str] = set()
    todo, seen = [PACKAGE / f"{name}.py" for name in files], set()
    while todo:
        path = todo.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        for parts in imported(path):
            rooms |= {room for room in parts[:1] if (PACKAGE / room).is_dir()}
            if "/".join(parts).startswith(FOLLOWED):
                todo.append(PACKAGE.joinpath(*parts).with_suffix(".py"))
    return (rooms | {name.split("/")[0] for name in files}) - OWN


@pytest.mark.parametrize("system", SYSTEMS)
def test_author_of_a_system_opens_three_folders_at_most(system: str) -> None:
    rooms = opened(SYSTEMS[system])
    assert len(rooms) <= 3, f"{system}: {sorted(rooms)}"
