"""The file of a checkpoint: whatever else is given for one, its kind is said in one sentence."""

import os
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from fairseq_ext.file_errors import FileError
from fairseq_ext.modules.checkpoint_file import checkpoint_weights, read_checkpoint
from fairseq_ext.modules.pretrained import load_pretrained
from fairseq_ext.torch_files import reason_of, restore_last_checkpoint

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


def flipped(content: bytes, position: int, bit: int = 0) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1 << bit
    return bytes(changed)


def equal(found: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(equal(found[key], expected[key]) for key in expected)
    return torch.equal(found, expected) if isinstance(expected, torch.Tensor) else bool(found == expected)


def test_no_flipped_bit_is_loaded_as_other_weights(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"model": {name: torch.rand(40, 50) for name in "ab"}, "extra_state": {"n": [1, 2]}}, path)
    whole, state = path.read_bytes(), read_checkpoint(path)
    draw = random.Random(3)
    messages = []
    for _ in range(200):
        path.write_bytes(flipped(whole, draw.randrange(len(whole)), draw.randrange(8)))
        try:
            assert equal(read_checkpoint(path), state)  # a bit of the padding between the entries
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 180
    assert all(str(path) in message and "weights_only" not in message for message in messages)


def test_a_small_file_that_asks_for_much_memory_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(50_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"it claims 50,000,000 bytes of content in [0-9]{2},[0-9]{3} bytes"):
        read_checkpoint(path)


def test_a_damaged_last_checkpoint_gives_way_to_the_newest_sound_one(tmp_path: Path) -> None:
    last, best, older = (tmp_path / f"checkpoint_{name}.pt" for name in ("last", "best", "1_20"))
    assert restore_last_checkpoint(tmp_path) == ""
    for age, path in enumerate((last, best, older)):
        torch.save({**STATE, "extra_state": {"age": age}}, path)
        os.utime(path, (1e9 - age, 1e9 - age))
    assert restore_last_checkpoint(tmp_path) == ""
    damaged = last.read_bytes()[:500]
    last.write_bytes(damaged)
    best.write_bytes(flipped(whole := best.read_bytes(), whole.index(b"\x00\x00\x80\x3f")))  # 1.0
    message = restore_last_checkpoint(tmp_path)
    assert message.startswith(f"{last}: it is cut off")
    assert "training continues from checkpoint_1_20.pt" in message
    assert read_checkpoint(last)["extra_state"] == {"age": 2}
    assert (tmp_path / "checkpoint_last.pt.damaged").read_bytes() == damaged
    last.write_bytes(b"")
    older.unlink()
    with pytest.raises(FileError, match="no other checkpoint in its folder is sound; delete it to train"):
        restore_last_checkpoint(tmp_path)
