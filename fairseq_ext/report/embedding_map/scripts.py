"""The scripts of a page with maps, and their hashes, by which its content policy lets them and no others run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...optional import import_optional
from ..html import TEMPLATES
from ..pieces import Block, Piece

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True)
class Script:
    """A script of ours or of a package; `text` is not escaped."""

    text: Markup

    @property
    def digest(self) -> str:
        """Return the hash that a content policy names it by."""
        digest = hashlib.sha256(self.text.encode("utf-8")).digest()
        return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def scripts_of(pieces: Iterable[Piece]) -> list[Script]:
    """Return the scripts that pieces need: plotly.js and ours where there is a map, else none."""
    if not any(isinstance(piece, Block) and piece.template == "map" for piece in pieces):
        return []
    markup = import_optional("markupsafe").Markup
    texts = (
        import_optional("plotly.offline").get_plotlyjs(),
        (TEMPLATES / "map.js").read_text(encoding="utf-8"),
    )
    return [Script(markup(text)) for text in texts]
