"""Temporary files of killed processes: removed by the next one that writes in the folder; those of others stay."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairseq_ext import leftovers
from fairseq_ext.file_errors import FileError
from fairseq_ext.files import atomic_folder, atomic_path
from fairseq_ext.leftovers import is_temporary, remove_leftovers, temporary_path

KILLED = """
import os, signal, sys
from fairseq_ext.files import atomic_folder, atomic_path
with atomic_path(sys.argv[1] + "/a.flac") as a, atomic_folder(sys.argv[1] + "/model") as folder:
    a.write_bytes(b"half"); (folder / "weights").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_next_process_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    left = names(tmp_path)
    assert len(left) == 2
    assert all(map(is_temporary, left))
    with atomic_path(tmp_path / "b.flac") as temporary:
        temporary.write_bytes(b"whole")
    assert names(tmp_path) == ["b.flac"]


def test_files_of_the_living_and_of_other_machines_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = temporary_path(tmp_path / "own")
    parent = own.with_name(own.name.replace(f"-{os.getpid()}-", f"-{os.getppid()}-"))
    monkeypatch.setattr(leftovers, "machine", lambda: "another one")
    elsewhere = temporary_path(tmp_path / "elsewhere")
    gone = elsewhere.with_name(elsewhere.name.replace(f"-{os.getpid()}-", "-4194304-"))
    monkeypatch.undo()
    earlier, partial = tmp_path / ".a.flac.0123456789ab.tmp", tmp_path / ".partial-12.wav"
    others = [own, parent, elsewhere, gone, earlier, partial, tmp_path / ".hidden.tmp", tmp_path / "a.tmp"]
    for path in others:
        path.write_bytes(b"")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(path.name for path in others)
    for path in others:
        os.utime(path, (time.time() - 25 * 3600,) * 2)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted([own.name, parent.name, ".hidden.tmp", "a.tmp"])


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "new" / "model") as folder:
        (folder / "a").write_text("a")
        assert not (tmp_path / "new" / "model").exists()
    assert names(tmp_path / "new" / "model") == ["a"]
    with pytest.raises(FileError, match=r"model: "), atomic_folder(tmp_path / "new" / "model") as folder:
        (folder / "b").write_text("b")
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "other"):
        raise RuntimeError
    assert names(tmp_path / "new") == ["model"]
    assert names(tmp_path) == ["new"]
    remove_leftovers(tmp_path / "none")
