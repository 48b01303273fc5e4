"""What can be wrong with a file, in one sentence that names it: the only place that lists the errors of readers.

    with reading(path, "an ARPA file"):
        ...                                    # FileError("words.arpa.gz: damaged or not an ARPA file (...); ...")

A loop over inputs catches `FileError`, names and counts the file, and goes on. The error that was raised first stays
its cause, so that a full disk (`jobs.errors.raise_if_disk_full`) and a lack of memory are recognised below it.
"""

import errno
import lzma
import os
import pickle
import struct
import tarfile
import tokenize
import wave
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_Name = str | os.PathLike[str]
# What readers raise for content that they do not understand, found by 18,000 damaged npy, npz and compressed npz files
# (numpy reads the header with `ast` and `tokenize`; zip archives without a member are a KeyError, encrypted ones
# a RuntimeError, as SentencePiece's and torch's errors are) and by the manuals of the other modules. JSON's, UTF-8's
# and numpy's are ValueErrors; that of gzip is an OSError without a number.
_DAMAGE = (
    EOFError, KeyError, RuntimeError, SyntaxError, ValueError, lzma.LZMAError, pickle.UnpicklingError, struct.error,
    tarfile.TarError, tokenize.TokenError, wave.Error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
# They are no statement about a file: a reader of standard output that is gone, a host, a worker process, a signal.
_NOT_OF_A_FILE = (ChildProcessError, ConnectionError, InterruptedError, ProcessLookupError, TimeoutError)
_REASONS = {
    errno.ENOENT: "no such file or folder; check the path",
    errno.ENOTDIR: "a part of this path is a file, not a folder; check the path",
    errno.ELOOP: "its links lead in a circle; link it to the file",
    errno.ENAMETOOLONG: "the name is too long for this file system; give a shorter one",
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.EROFS: "the disk is read-only; give a folder elsewhere",
    errno.EIO: "the disk reports an error; copy the file from elsewhere and check the disk",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n) or use fewer workers",
}


class FileError(ValueError):
    """A file that cannot be used; the message says which, what is wrong and what to do."""


class MissingFileError(FileError, FileNotFoundError):
    """A file that is not there."""


@contextmanager
def reading(
    path: _Name, what: str = "", *, advice: str = "copy it again or give another file"
) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a `FileError` that names it.

    The block should do nothing but read: errors of values and keys in it are taken for damage, unless their
    message names the file already.

    Args:
        path: the file.
        what: what it should be, with its article, such as "an ARPA file"; empty = a phrase that fits any file.
        advice: what to do about damage.

    Raises:
        FileError: for any error of the operating system, an archive, a compression or a text in the block.
    """
    try:
        yield
    except (FileError, *_NOT_OF_A_FILE):
        raise
    except FileNotFoundError as error:
        raise MissingFileError(explain(error, path)) from error
    except OSError as error:
        raise FileError(explain(error, path, what, to="read", advice=advice)) from error
    except _DAMAGE as error:
        if str(path) in str(error) or "out of memory" in str(error).lower():
            raise
        raise FileError(f"{path}: {_damage(error, what)}; {advice}") from error


@contextmanager
def writing(path: _Name) -> Iterator[None]:
    """Turn what the operating system refuses while a file is written into a `FileError` that names it.

    Args:
        path: the file or folder.

    Raises:
        FileError: for a full or read-only disk, no permission, a name that is too long, and the like; for text
            that UTF-8 cannot hold.
    """
    try:
        yield
    except _NOT_OF_A_FILE:
        raise
    except OSError as error:
        if error.errno is None:  # raised by a program, not by the system
            raise
        raise FileError(explain(error, path, to="write")) from error
    except UnicodeEncodeError as error:
        found = error.object[error.start : error.end]
        raise FileError(
            f"{path}: UTF-8 cannot hold {found!a}; rename the file whose name is not UTF-8"
        ) from error


def is_of_system(error: BaseException) -> bool:
    """Return whether a `FileError` is about the system, such as a full disk, and not about the content of a file."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno is not None


def explain(
    error: OSError, path: _Name = "", what: str = "", *, to: str = "use", advice: str = "give another file"
) -> str:
    """Explain an error of the operating system: the file, what is wrong and what to do.

    Args:
        error: what was raised.
        path: the file that was being read or written; a file in that folder, or another, that the error names is
            named instead.
        what: what it should be, with its article.
        to: what was tried: "read", "write", or "use" where that is not clear.
        advice: what to do about damage.
    """
    name = _name(error, path)
    if error.errno is None:  # of a reader, such as gzip's, or with a sentence of its own
        text = str(error) or type(error).__name__
        return text if not name or name in text else f"{name}: {_damage(error, what)}; {advice}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{name}: no permission to {to} it; change its owner or mode, or give another path"
    if error.errno == errno.EISDIR:
        return f"{name} is a folder, {what or 'a file'} is needed; give a file in it"
    return f"{name}: {_REASONS.get(error.errno, error.strerror)}".removeprefix(": ")


def _name(error: OSError, path: _Name) -> str:
    """Return the file to name: the temporary file of an atomic write stands for the file that is to appear."""
    found = error.filename if isinstance(error.filename, str | bytes) else None
    if found is None:
        return os.fspath(path)
    other = Path(os.fsdecode(found))
    target = Path(path)
    is_temporary = other.parent == target.parent and other.name.startswith(f".{target.name}.")
    return os.fspath(path) if path and is_temporary else str(other)


def _damage(error: Exception, what: str) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, KeyError):
        reason = f"no entry {reason.removesuffix(' is not a file in the archive')}"
    elif isinstance(error, UnicodeDecodeError):
        reason = f"no UTF-8 at byte {error.start}"
    return f"damaged or {f'not {what}' if what else 'in another format'} ({reason[:200]})"
