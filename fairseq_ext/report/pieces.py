"""What a section of the page is made of: plain data, which templates turn into HTML (see `html`)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .tables import Table


def data_uri(content: bytes, media_type: str) -> str:
    """Turn a file into a `data:` URI, which a page can hold."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


@dataclass(frozen=True)
class Picture:
    """An embedded picture.

    Attributes:
        png: the file, drawn at 1.5 pixels per pixel of the page.
        description: contents of the picture, for readers who cannot see it.
        is_wide: scroll sideways on narrow screens instead of shrinking.
    """

    png: bytes
    description: str
    caption: str = ""
    title: str = ""
    is_wide: bool = False

    @property
    def uri(self) -> str:
        """The picture as an address."""
        return data_uri(self.png, "image/png")

    @property
    def width_px(self) -> int:
        """Width on the page."""
        # Bytes 16 to 20 of a PNG are its width in pixels (PNG specification, section 11.2.2).
        return round(int.from_bytes(self.png[16:20], "big") / 1.5)


@dataclass(frozen=True)
class Block:
    """A template of `report/templates`, without `.html.jinja`, and its variables; `show` shows pieces in them."""

    template: str
    values: Mapping[str, Any]


# Plain text is a paragraph.
Piece = Table | Picture | Block | str
