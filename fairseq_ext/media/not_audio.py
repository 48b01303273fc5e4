"""Says what a file is that no decoder reads."""

from pathlib import Path

from .mp3 import tag_end

_HEAD_BYTES = 4096
_LINE_CHARS = 60


def what_else(path: Path) -> str:
    """Look at the beginning of a file.

    Args:
        path: of a file that is not empty.

    Returns:
        Words to follow "audio expected, found".
    """
    num_bytes = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"ID3") and tag_end(head, 0) >= num_bytes:
        return "an ID3 tag (title, cover) with no sound behind it"
    if not any(head):
        return f"{num_bytes} bytes that begin with zeros alone"
    line = _first_line(head)
    if line:
        return f"text, {line!r}"
    return f"{num_bytes} bytes of no format that they know"


def _first_line(head: bytes) -> str:
    """The first line of what may be a server's page or Git LFS's note; empty for what is not text in UTF-8."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not just a letter that the end cuts
            return ""
        text = head[: error.start].decode()
    if not text.strip() or not all(letter.isprintable() or letter in "\t\r\n" for letter in text):
        return ""
    return text.strip().splitlines()[0][:_LINE_CHARS]
