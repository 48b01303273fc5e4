"""Fetch a file over HTTP: resumable, whole or not at all."""

import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from .file_errors import is_of_system, writing

_TIMEOUT_S = 30  # without a byte
_PIECE_BYTES = 1 << 16
_Progress = Callable[[int, int | None], None]


def fetch(
    url: str,
    path: str | os.PathLike[str],
    *,
    check: Callable[[Path], None] = lambda path: None,
    progress: _Progress | None = None,
    num_attempts: int = 5,
    retry_wait_s: float = 2.0,
) -> None:
    """Download `url` to `path` unless `path` exists already, and check it.

    What has arrived is kept in `{path}.part`; a broken transfer, or a later call, asks for the rest (HTTP
    Range). A file that fails the check is fetched once more; one that was there before the call is moved to
    `{path}.damaged` first.

    Args:
        url: http or https.
        path: the file to appear once it is whole; its folder is created.
        check: called with the whole file; raises ValueError when its content is damaged.
        progress: called with the bytes fetched so far and their total (None when the host does not state it).
        num_attempts: how often to try before giving up; an attempt that brought bytes is not counted.
        retry_wait_s: pause after the first failure; it doubles with each.

    Raises:
        ConnectionError: when the host cannot be reached or does not have the file; names both, for a download
            by hand.
        FileError: when the disk is full or cannot be written to; what has arrived is kept.
        ValueError: of `check`, when what the host sends fails it twice.
    """
    target, num_fetched = Path(path), 0
    while True:
        if not target.exists():
            _fetch_whole(url, target, progress, num_attempts, retry_wait_s)
            num_fetched += 1
        try:
            return check(target)
        except ValueError as error:
            if is_of_system(error):
                raise
            if num_fetched == 0:
                os.replace(target, target.with_name(f"{target.name}.damaged"))
            else:
                target.unlink()
            if num_fetched == 2:
                raise


def _fetch_whole(
    url: str, target: Path, progress: _Progress | None, num_attempts: int, retry_wait_s: float
) -> None:
    part = target.with_name(target.name + ".part")
    with writing(part):
        target.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    while not target.exists():
        before = _size(part)
        try:
            _fetch_rest(url, part, progress)
            os.replace(part, target)
        except (OSError, http.client.HTTPException) as error:
            failures = failures + 1 if _size(part) <= before else 0
            if failures == num_attempts or _is_final(error):
                raise ConnectionError(
                    f"{url}: the download failed ({error}); check the internet connection and run again, "
                    f"or fetch it by hand and put it at {target.absolute()}"
                ) from error
            time.sleep(retry_wait_s * 2**failures)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _is_final(error: Exception) -> bool:
    """Return whether trying again is useless: client errors such as 404 stay, busy hosts recover."""
    return (
        isinstance(error, urllib.error.HTTPError)
        and 400 <= error.code < 500
        and error.code not in {408, 416, 429}
    )


def _fetch_rest(url: str, part: Path, progress: _Progress | None) -> None:
    """Append to `part` until it is whole; raise OSError when the transfer ends early."""
    request = urllib.request.Request(url, headers={"User-Agent": "fairseq-ext"})
    if start := _size(part):
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and _total(error.headers.get("Content-Range")) == start:
            return  # everything had arrived before
        if error.code == 416:
            part.unlink()  # longer than the file: not a part of it
        raise
    with response:
        resumed = response.status == 206
        received, total = (start if resumed else 0), _expected_size(response, start if resumed else 0)
        with writing(part), open(part, "ab" if resumed else "wb") as file:
            while piece := _read(response):
                file.write(piece)
                received += len(piece)
                if progress is not None:
                    progress(received, total)
    if total is not None and received != total:
        raise ConnectionError(f"{received} of {total} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_PIECE_BYTES)
    except OSError as error:  # of the connection, not of the disk
        raise ConnectionError(str(error)) from error


def _expected_size(response: http.client.HTTPResponse, start: int) -> int | None:
    if response.status == 206:
        return _total(response.headers.get("Content-Range"))
    length = response.headers.get("Content-Length")
    return start + int(length) if length else None


def _total(content_range: str | None) -> int | None:
    """Read the total of `bytes 5-9/10` or `bytes */10`."""
    match = re.search(r"/(\d+)$", content_range or "")
    return int(match[1]) if match else None
