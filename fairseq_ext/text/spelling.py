"""The spelling of a manifest's texts, kept beside it in spelling.json: a text is normalised once, when it is written.

Whatever meets these texts later, hypotheses or text for a language model, is spelled by the record; the texts
themselves are read as they are. Manifests that have no record, of stock fairseq or of earlier versions, are read too:
`of_texts` finds the rules whose result the texts are.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..files import atomic_write
from .languages import check_code
from .normalize import RULES, check_choice, normalize
from .published import as_written

NAME = "spelling.json"
PathName = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Spelling:
    """How texts are spelled; call it to spell another one.

    Attributes:
        language: language whose rules apply; empty = each text's own.
        case: "lower" or "upper".
        punctuation: whether texts are as written, in their own case and with punctuation and digits.
        apostrophes: False = apostrophes are removed at last, as in the published lists of mTEDx.
        rules: version of the normaliser's rules.
    """

    language: str
    case: str = "lower"
    punctuation: bool = False
    apostrophes: bool = True
    rules: int = RULES

    def __post_init__(self) -> None:
        """Raise ValueError for a language code or case that is none."""
        check_choice(self.language or "und", self.case)

    def __call__(self, text: str, language: str = "") -> str:
        """Spell a text; `language` is its own, where the record names none."""
        if self.punctuation:
            return as_written(text)
        found = normalize(text, self.language or language, case=self.case)
        return found if self.apostrophes else found.replace("'", "")

    def describe(self) -> str:
        """Return the settings as a phrase."""
        if self.punctuation:
            return "as written"
        return (
            f"{self.language or 'each its own language'}, {self.case} case, rules {self.rules}"
            f"{'' if self.apostrophes else ', no apostrophes'}"
        )

    def check(self, where: PathName, *, language: str = "", case: str = "") -> None:
        """Raise ValueError for choices that differ from the record; empty = none.

        `where` is the manifest, for the message.
        """
        if language:
            check_code(language)
        same_language = not (language and self.language) or _base(language) == _base(self.language)
        if not same_language or (case and not self.punctuation and case != self.case):
            raise ValueError(
                f"{where}: the texts are spelled by {self.describe()} ({NAME}), and {language or case} was chosen; "
                f"leave out {'--case' if same_language else '--language'}, or write the manifest again"
            )


def _base(code: str) -> str:
    return code.replace("_", "-").split("-")[0].lower()


def write_spelling(folder: PathName, spelling: Spelling) -> None:
    """Write the record of a manifest folder."""
    write_record(Path(folder) / NAME, spelling)


def write_record(path: Path, spelling: Spelling) -> None:
    """Write a record to any file."""
    with atomic_write(path) as file:
        file.write(json.dumps(asdict(spelling), indent=1) + "\n")


def read_spelling(folder: PathName) -> Spelling | None:
    """Read the record of a manifest folder; None = it has none. Raises ValueError for a damaged one."""
    return read_record(Path(folder) / NAME)


def read_record(path: Path) -> Spelling | None:
    """Read a record; None = there is no such file. Raises ValueError for a damaged one."""
    if not path.is_file():
        return None
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        kinds = {field.name: type(getattr(Spelling(""), field.name)) for field in fields(Spelling)}
        if not isinstance(found, dict) or any(type(found[name]) is not kind for name, kind in kinds.items()):
            raise TypeError(f"found {found!r}")
        return Spelling(**{name: found[name] for name in kinds})
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged: it must hold language, case, punctuation, apostrophes and rules ({error!r}); write "
            "the manifest again"
        ) from error


def of_texts(texts: Iterable[str], language: str) -> Spelling:
    """Find the spelling of texts without a record: the case in which the rules of a language change none of them."""
    found: Sequence[str] = list(texts)
    for spelling in (Spelling(language), Spelling(language, "upper")):
        if all(spelling(text) == text for text in found):
            return spelling
    return Spelling(language, punctuation=True)
