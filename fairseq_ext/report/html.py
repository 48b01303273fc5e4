"""Turn pieces into HTML with the jinja2 templates of `templates/`.

Everything is inlined, and a content policy forbids the page to load anything else, and to run any script but those of
maps, which it names by their hashes. The templates escape all text (autoescape), and refuse a variable that nobody set.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..optional import import_optional
from ..text.scoring import align
from .pieces import Block, Piece
from .tables import Table

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


@cache
def _environment() -> Any:
    jinja2 = import_optional("jinja2", extra="analysis")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(show=show, differences=differences, aligned=aligned)
    return environment


def render(template: str, **values: Any) -> str:
    """Fill a template, named without `.html.jinja`."""
    return str(_environment().get_template(f"{template}.html.jinja").render(**values))


def _macro(template: str, name: str, *values: Any) -> Markup:
    module = _environment().get_template(f"{template}.html.jinja").module
    made: Markup = getattr(module, name)(*values)
    return made


def show(piece: Piece) -> Markup:
    """Turn a piece of a section into HTML; templates call it for pieces within pieces."""
    if isinstance(piece, Block):
        markup: Markup = import_optional("markupsafe").Markup(render(piece.template, **piece.values))
        return markup  # its template has escaped it
    name = "paragraph" if isinstance(piece, str) else "table" if isinstance(piece, Table) else "picture"
    return _macro("pieces", name, piece)


def differences(reference: Sequence[str], hypothesis: Sequence[str]) -> Markup:
    """Mark the tokens of the reference that were left out in `<del>`, and those put in in `<ins>`."""
    parts: list[tuple[str, str]] = []
    pairs = align(reference, hypothesis)
    for is_equal, group in itertools.groupby(pairs, key=lambda pair: pair[0] == pair[1]):
        sides = [" ".join(t for t in side if t is not None) for side in zip(*group, strict=True)]
        # Where both sides are equal one of them is shown.
        tags = ("",) if is_equal else ("del", "ins")
        parts += [(tag, text) for tag, text in zip(tags, sides, strict=False) if text]
    return _macro("texts", "differences", parts)


def aligned(reference: Sequence[str], hypothesis: Sequence[str]) -> Markup:
    """Set two texts one above the other, token over token.

    A difference shows by colour, by symbol (≠ another token, − left out, + put in), and to screen readers as text.
    """
    return _macro("texts", "aligned", align(reference, hypothesis))
