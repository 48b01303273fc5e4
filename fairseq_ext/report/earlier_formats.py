"""Read results that an earlier version wrote.

Format 1 called a system a row and a partition a protocol. Format 2 held everything that metrics.json holds, and nothing
under `origins`; it is read as the current one is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMAT = 3

_RENAMED = {"row": "system", "protocol": "partition", "rows": "systems", "protocols": "partitions"}


def with_current_keys(item: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the keys that format 1 wrote under other names, in metrics.json or an entry of results.json."""
    return {_RENAMED.get(key, key): value for key, value in item.items()}


def upgrade(results: Mapping[str, Any]) -> dict[str, Any]:
    """Convert results.json of an earlier format to the current one; figures and other formats stay as they are."""
    if results.get("format") == 2:
        return {**results, "format": FORMAT}
    if results.get("format") != 1:
        return dict(results)
    upgraded = with_current_keys(results)
    for key in ("systems", "summary"):
        upgraded[key] = [with_current_keys(item) for item in upgraded[key]]
    about = with_current_keys(upgraded["about"])
    if "published" in about:
        about["published"] = [with_current_keys(figure) for figure in about["published"]]
    return {**upgraded, "format": FORMAT, "about": about}
