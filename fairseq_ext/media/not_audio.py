"""Describe files that no decoder can read."""

from pathlib import Path

from .mp3 import tag_end

_HEAD_BYTES = 4096
_LINE_CHARS = 60


def what_else(path: Path) -> str:
    """Describe the content of a file that is not audio, by its first bytes."""
    num_bytes = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"ID3") and tag_end(head, 0) >= num_bytes:
        return "an ID3 tag (title, cover) with no audio behind it"
    if not head:
        return "an empty file"
    if not any(head):
        return f"{num_bytes} bytes that begin with zeros alone"
    line = _first_line(head)
    if line:
        return f"text, {line!r}"
    return f"{num_bytes} bytes of an unknown format"


def is_text(path: Path) -> bool:
    """Return whether a file begins as UTF-8 text."""
    with open(path, "rb") as file:
        return bool(_first_line(file.read(_HEAD_BYTES)))


def _first_line(head: bytes) -> str:
    """Return the first line of a text, such as an error page or a pointer of Git LFS; empty if it is not UTF-8 text."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not just a character cut at the end
            return ""
        text = head[: error.start].decode()
    if not text.strip() or not all(letter.isprintable() or letter in "\t\r\n" for letter in text):
        return ""
    return text.strip().splitlines()[0][:_LINE_CHARS]
