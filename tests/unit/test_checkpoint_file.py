"""The file of a checkpoint: whatever else is given for one, its kind is said in one sentence."""

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from fairseq_ext.modules.checkpoint_file import checkpoint_weights, read_checkpoint, reason_of
from fairseq_ext.modules.pretrained import load_pretrained

STATE: dict[str, Any] = {"model": {"weight": torch.ones(2, 3), "bias": torch.ones(2)}, "extra_state": {}}
# content of the file -> message
OTHERS = {
    "empty": r"it is empty; copy it again",
    "text": r"it is text, 'version https://example\.org/v1';",
    "page": r"it is text, '<!DOCTYPE html>",
    "cut": r"it is cut off;",
    "zip": r"it is another zip archive;",
    "noise": r"it is cut off or in another format \(\w+\);",
    "code": r"it needs the class posixpath\.join, which is not loaded since it may run code;",
    "list": r"found list; give another",
    "bare": r"found entries \['weight', 'bias'\]; give another",
}


def write(path: Path, kind: str) -> None:
    """Write a file that is not a checkpoint of fairseq."""
    torch.save(STATE, path)
    whole = path.read_bytes()
    contents = {
        "empty": b"",
        "text": b"version https://example.org/v1\noid 3\n",
        "page": b"<!DOCTYPE html>\n<html><body>404</body></html>",
        "cut": whole[: len(whole) // 2],
        "noise": bytes(range(128, 256)),
    }
    saved = {"code": {**STATE, "task_state": os.path.join}, "list": [1, 2], "bare": STATE["model"]}
    if kind in contents:
        path.write_bytes(contents[kind])
    elif kind in saved:
        torch.save(saved[kind], path)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("notes.txt", "none")


@pytest.mark.parametrize("kind", OTHERS)
def test_other_files_are_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "começament.pt"
    write(path, kind)
    with pytest.raises(ValueError, match=OTHERS[kind]) as read:
        read_checkpoint(path)
    with pytest.raises(ValueError, match=OTHERS[kind]) as started:
        load_pretrained(torch.nn.Linear(3, 2), path)
    assert str(read.value) == str(started.value)
    assert str(read.value).startswith(f"{path} is not a fairseq checkpoint: ")
    assert "weights_only" not in str(read.value)
    assert "\n" not in str(read.value)


def test_a_folder_and_nothing(tmp_path: Path) -> None:
    for path, found in (
        (tmp_path, "is a folder, not a checkpoint; give a file in it"),
        (tmp_path / "a.pt", "no such checkpoint; train first"),
    ):
        with pytest.raises(FileNotFoundError, match=found):
            load_pretrained(torch.nn.Linear(3, 2), path)


def test_a_whole_one_is_read(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "a.pt")
    assert checkpoint_weights(read_checkpoint(tmp_path / "a.pt")).keys() == {"weight", "bias"}
    layer = torch.nn.Linear(3, 2)
    assert load_pretrained(layer, tmp_path / "a.pt") == ["weight", "bias"]
    assert bool((layer.weight == 1).all())


def test_errors_of_the_system_are_passed_on(tmp_path: Path) -> None:
    assert reason_of(PermissionError(13, "Permission denied"), tmp_path) == "no permission"
    assert reason_of(OSError(5, "Input/output error"), tmp_path) == "Input/output error"
