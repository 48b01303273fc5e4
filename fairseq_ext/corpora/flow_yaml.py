"""The part of YAML in which speech translation corpora list their segments, without a YAML library.

One row per segment: `- {duration: 2.35, offset: 42.91, speaker_id: spk.1, wav: ted_1.wav}`.
"""

import os
import re
from collections.abc import Iterator

from ..text.published import Report, published_lines

_ITEM = re.compile(r"""\s*(\w+)\s*:\s*('(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[^,'"{}]*?)\s*(?:,|$)""")


def flow_mappings(path: str | os.PathLike[str], report: Report) -> Iterator[dict[str, str]]:
    """Stream the rows of a list of mappings; one may continue over several lines, as dumped ones do.

    Yields key -> value as text, without its quotes. `report` receives one line per row that is no mapping; it is
    yielded empty, so that those after it keep their number.
    """
    row, first = "", 0
    for number, line in published_lines(path, report):
        if row and line.startswith("-"):
            yield _mapping(row, f"{path}:{first}", report)
            row = ""
        if not row:
            first = number
        row = f"{row} {line.strip()}".strip()
        if row.endswith("}") or row.startswith(("#", "---")):
            if row.endswith("}"):
                yield _mapping(row, f"{path}:{first}", report)
            row = ""
    if row:
        yield _mapping(row, f"{path}:{first}", report)


def _mapping(row: str, where: str, report: Report) -> dict[str, str]:
    match = re.fullmatch(r"-\s*\{(.*)\}", row)
    inside = match[1].strip() if match else "?"  # no item of a mapping, so that the row is reported
    items: dict[str, str] = {}
    position = 0
    while item := _ITEM.match(inside, position):
        items[item[1]] = _unquoted(item[2])
        position = item.end()
    if position == len(inside):
        return items
    report(
        f"{where}: {row!r} is not of the form `- {{duration: ..., offset: ..., speaker_id: ..., wav: ...}}`"
    )
    return {}


def _unquoted(text: str) -> str:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
