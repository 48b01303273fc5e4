"""Paths and other text as Hydra's arguments: the only place where text is put into its grammar.

Everything of Hydra 1.1 and OmegaConf 2.1 that has a meaning there (quotes, `#`, `,`, `=`, `{}`, spaces, numbers, null)
loses it between single quotes, in which a quote and the backslashes before it are escaped.
"""

import os
import re
import unicodedata
from pathlib import Path

# Control characters (tabs and line ends among them), line separators, and bytes that are not UTF-8.
_NOT_IN_MANIFESTS = {"Cc", "Cs", "Zl", "Zp"}


def override(key: str, text: object) -> str:
    """Return the argument that sets a key to a text, whatever the text holds; `refuse_path` lists what cannot be."""
    escaped = re.sub(r"(\\*)('|$)", lambda end: end[1] * 2 + (r"\'" if end[2] else ""), str(text))
    return f"{key}='{escaped}'"


def refuse_path(path: Path, option: str, *, is_data: bool = False) -> None:
    """Raise ValueError naming the option for a path that training cannot take, before anything is made.

    `is_data`: manifests will lie below it.
    """
    text = os.path.abspath(path)
    if wrong := [character for character in text if unicodedata.category(character) in _NOT_IN_MANIFESTS]:
        found = f"{wrong[0]!a}, which manifests cannot hold"
    elif "${" in text:
        # fairseq resolves its configuration, and makes another of the result, in which the text is resolved once more.
        found = "'${', which fairseq replaces by a value of its configuration"
    elif is_data and ":" in text:
        found = "':', at which fairseq divides it into several folders of data"
    else:
        return
    raise ValueError(f"{option} {text!a}: the path has {found}; choose another")
