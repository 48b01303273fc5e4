"""JSON lines with a checksum: torn and corrupted lines are detected. A line: CRC-32 in hex, a space, a JSON object."""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

Record = dict[str, Any]
# Lone surrogates (bytes of file names that are not UTF-8) pass through.
_ERRORS = "surrogatepass"


def encode(record: Mapping[str, Any], *, sort_keys: bool = False) -> bytes:
    """Encode a record as a line with its line end; with sorted keys equal records give equal lines.

    Raises:
        TypeError: for values that JSON cannot hold.
    """
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys)
    return _line(text.encode("utf-8", _ERRORS))


def _line(text: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode(line: bytes) -> Record | None:
    """Return the record of a line with its line end; None for a torn or corrupted line."""
    checksum, text = line[:8], line[9:-1]
    if line[8:9] != b" " or line[-1:] != b"\n" or checksum != b"%08x" % zlib.crc32(text):
        return None
    record: Record = json.loads(text.decode("utf-8", _ERRORS))
    return record


def read_checked(path: str | os.PathLike[str], advice: str) -> Iterator[Record]:
    """Stream the records of a file that must be undamaged.

    Raises:
        ValueError: naming file and line, for a damaged one, with `advice` on what to do.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            record = decode(line)
            if record is None:
                raise ValueError(f"{path}:{number}: damaged line (its checksum does not match); {advice}")
            yield record
