"""Lines that tell whether they are whole: a checksum, a space, a JSON object. Torn and flipped ones are noticed."""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

Record = dict[str, Any]
# Lone surrogates (bytes of file names that are not UTF-8) pass through.
_ERRORS = "surrogatepass"


def encode(record: Mapping[str, Any], *, sort_keys: bool = False) -> bytes:
    """Makes the line of a record.

    Args:
        record: as JSON can hold it.
        sort_keys: whether records that are equal shall look the same.

    Returns:
        The line with its end.

    Raises:
        TypeError: for what JSON cannot hold.
    """
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys)
    return _line(text.encode("utf-8", _ERRORS))


def _line(text: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode(line: bytes) -> Record | None:
    """Reads the line of a record.

    Args:
        line: with its end.

    Returns:
        The record; None for a line that is torn or changed.
    """
    checksum, text = line[:8], line[9:-1]
    if line[8:9] != b" " or line[-1:] != b"\n" or checksum != b"%08x" % zlib.crc32(text):
        return None
    record: Record = json.loads(text.decode("utf-8", _ERRORS))
    return record


def read_checked(path: str | os.PathLike[str], advice: str) -> Iterator[Record]:
    """Streams the records of a file that was committed whole.

    Args:
        path: the file.
        advice: the next step, for the message.

    Yields:
        The records.

    Raises:
        ValueError: naming file and line, for a damaged one.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            record = decode(line)
            if record is None:
                raise ValueError(
                    f"{path}:{number}: a record and its checksum expected, found a damaged line; {advice}"
                )
            yield record
