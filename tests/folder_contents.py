"""What lies below a folder, to compare two of them."""

import hashlib
from pathlib import Path


def contents(root: Path) -> dict[str, str]:
    """Return the hash of every file below the root."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
