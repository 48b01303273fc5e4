"""Temporary files that name their process, so that those of processes that were killed are told and removed."""

import functools
import hashlib
import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# .NAME.MACHINE-PROCESS-RANDOM.tmp; earlier versions wrote .NAME.RANDOM.tmp and .partial-PROCESS.SUFFIX
_TEMPORARY = re.compile(
    r"\..+\.(?:(?P<machine>[0-9a-f]{6})-(?P<pid>\d+)-)?[0-9a-f]{4,12}\.tmp|\.partial-\d+\.\w+", re.DOTALL
)
# Who lives writes on; longer than a stalled file server, or a laptop that sleeps overnight.
_ABANDONED_S = 24 * 3600.0


def machine() -> str:
    """Return boot id and process namespace, in which the ids of processes count; empty where unknown."""
    try:
        return f"{_BOOT_ID.read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def state_and_start(pid: int) -> tuple[str, str]:
    """Return state (empty: no such process) and start time of a process (`man 5 proc`, fields 3 and 22 of stat)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[0], fields[19]


def temporary_path(target: Path) -> Path:
    """Return a name beside a file or folder, under which this process makes it."""
    return target.with_name(f".{target.name}.{_digest(machine())}-{os.getpid()}-{secrets.token_hex(3)}.tmp")


def is_temporary(name: str) -> bool:
    """Return whether a file is one under way, or the rest of one, by its name."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders of processes that have ended.

    On another machine, and where the name does not tell, that is told by a day without a change.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _TEMPORARY.fullmatch(entry.name)
            if found is not None and _is_dead(found, entry):
                _remove(entry)


@functools.lru_cache(maxsize=4096)
def remove_leftovers_once(folder: Path) -> None:
    """Remove leftovers where this process has not done so: a folder of many files is read once."""
    remove_leftovers(folder)


def _is_dead(found: re.Match[str], entry: "os.DirEntry[str]") -> bool:
    here = machine()
    if here and found["machine"] == _digest(here):
        return state_and_start(int(found["pid"]))[0] in {"", "Z", "X"}
    with suppress(OSError):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_S
    return False


def _remove(entry: "os.DirEntry[str]") -> None:
    with suppress(OSError):  # another process may do the same
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
