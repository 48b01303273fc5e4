"""The normaliser's rules of each language, as tables. To add a language, add an entry to `LANGUAGES`.

Alphabets are those of the current orthographies. Words for numbers come from the package num2words; what it lacks
(clock times, feminine forms, signs) is here, its errors are corrected in `numbers`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

APOSTROPHE, HYPHEN, MIDDLE_DOT = "'", "-", "·"
# Characters that are typed for apostrophe and hyphen.
SHAPES = str.maketrans({
    **dict.fromkeys("’‘‛ʼʻ´`′＇", APOSTROPHE),
    **dict.fromkeys("‐‑﹣－", HYPHEN),  # not the dashes – and —, which separate words
})  # fmt: skip

_LATIN = "abcdefghijklmnopqrstuvwxyz"
# Spaces that group the digits of a number: no-break (U+00A0), narrow no-break (U+202F), thin (U+2009).
_GROUPING_SPACES = "\u00a0\u202f\u2009"


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """The rules of one language.

    Attributes:
        letters: alphabet in lower case.
        joiners: marks that are kept between two letters and dropped elsewhere.
        folds: letters of other alphabets -> spelling. A letter that is not listed loses its diacritics (á -> a), or is
            dropped if it is still not in the alphabet.
        clipped: words that end in an apostrophe.
        numbers: code of the language in num2words.
        thousands: characters that group digits by three.
        decimal: character before the decimals.
        decimal_word: word for that character.
        years_in_pairs: whether 1984 is read 19 84.
        decimals_one_by_one: whether decimals are read digit by digit, however few.
        point_word: word for a single `.` that does not group digits; empty = it is not read.
        minus: word for a minus sign.
        units: sign -> (phrase for exactly one, word after any other number or alone).
        signs: sign -> word.
        ordinals: mark after a number -> form of the ordinal: "m", "f", "mp", "fp", or a special one.
        ordinal_only: mark -> the only numbers that it follows.
        elided_one: the number 1 after an apostrophe, where it differs.
        one_hour: phrase for one hour; empty = "h" is not read.
        hours: word after any other number of hours.
        clock_hours: whether that word is read between hours and minutes.
        clock_feminine: hour of the clock -> its feminine form.
        centuries: words before a century in Roman numerals; ordinal up to ten, cardinal above.
        century_and: words between two centuries.
    """

    letters: str
    joiners: str
    folds: Mapping[str, str] = field(default_factory=dict)
    clipped: tuple[str, ...] = ()
    numbers: str
    thousands: str
    decimal: str
    decimal_word: str
    years_in_pairs: bool = False
    decimals_one_by_one: bool = False
    point_word: str = ""
    minus: str
    units: Mapping[str, tuple[str, str]]
    signs: Mapping[str, str]
    ordinals: Mapping[str, str]
    ordinal_only: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    elided_one: str = ""
    one_hour: str = ""
    hours: str = ""
    clock_hours: bool = False
    clock_feminine: Mapping[int, str] = field(default_factory=dict)
    centuries: tuple[str, ...] = ()
    century_and: tuple[str, ...] = ()


# Letters of other alphabets that do not decompose, for every language.
COMMON_FOLDS = {
    "æ": "ae", "œ": "oe", "ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h", "ŀ": "l",
}  # fmt: skip

LANGUAGES: dict[str, Language] = {
    "ca": Language(
        letters=_LATIN + "àçèéíïòóúü",
        joiners=APOSTROPHE + HYPHEN + MIDDLE_DOT,
        folds={"ñ": "ny"},
        numbers="ca",
        thousands=". " + _GROUPING_SPACES,
        decimal=",",
        decimal_word="coma",
        point_word="punt",
        minus="menys",
        units={
            "%": ("u per cent", "per cent"), "€": ("un euro", "euros"),
            "$": ("un dòlar", "dòlars"), "¥": ("un ien", "iens"), "°": ("un grau", "graus"),
        },
        signs={"+": "més", "&": "i", "@": "arrova"},
        ordinals={
            "r": "m", "er": "m", "n": "m", "on": "m", "t": "m", "è": "m", "é": "valencian", "º": "m",
            "a": "f", "ra": "f", "na": "f", "ta": "f", "ª": "f", "rs": "mp", "ns": "mp", "ts": "mp", "ens": "mp",
            "es": "fp",
        },
        ordinal_only={
            "r": (1, 3), "er": (1, 3), "ra": (1, 3), "rs": (1, 3), "n": (2,), "on": (2,), "na": (2,), "ns": (2,),
            "t": (4,), "ta": (4,), "ts": (4,),
        },
        elided_one="u",
        one_hour="una hora",
        hours="hores",
        clock_feminine={1: "una", 2: "dues", 21: "vint-i-una", 22: "vint-i-dues"},
        centuries=("segle", "segles"),
        century_and=("i", "a", "al", "o"),
    ),
    "es": Language(
        letters=_LATIN + "áéíñóúü",
        joiners="",
        numbers="es",
        thousands=". " + _GROUPING_SPACES,
        decimal=",",
        decimal_word="coma",
        point_word="punto",
        minus="menos",
        units={
            "%": ("uno por ciento", "por ciento"), "€": ("un euro", "euros"),
            "$": ("un dólar", "dólares"), "¥": ("un yen", "yenes"), "°": ("un grado", "grados"),
        },
        signs={"+": "más", "&": "y", "@": "arroba"},
        ordinals={"º": "m", "ª": "f", "er": "short", "ro": "m", "ra": "f", "do": "m", "da": "f"},
        ordinal_only={"er": (1, 3), "ro": (1, 3), "ra": (1, 3), "do": (2,), "da": (2,)},
        one_hour="una hora",
        hours="horas",
        clock_feminine={1: "una", 21: "veintiuna"},
        centuries=("siglo", "siglos"),
        century_and=("y", "a", "al", "o"),
    ),
    "en": Language(
        letters=_LATIN,
        joiners=APOSTROPHE,
        numbers="en",
        thousands="," + _GROUPING_SPACES,
        decimal=".",
        decimal_word="point",
        years_in_pairs=True,
        decimals_one_by_one=True,
        minus="minus",
        units={
            "%": ("one percent", "percent"), "€": ("one euro", "euros"), "$": ("one dollar", "dollars"),
            "£": ("one pound", "pounds"), "¥": ("one yen", "yen"), "°": ("one degree", "degrees"),
        },
        signs={"+": "plus", "&": "and", "@": "at"},
        ordinals={"st": "m", "nd": "m", "rd": "m", "th": "m"},
    ),
    "fr": Language(
        letters=_LATIN + "àâçéèêëîïôùûüÿ",
        joiners=APOSTROPHE + HYPHEN,
        folds={"ñ": "gn"},
        numbers="fr",
        thousands=". " + _GROUPING_SPACES,
        decimal=",",
        decimal_word="virgule",
        point_word="point",
        minus="moins",
        units={
            "%": ("un pour cent", "pour cent"), "€": ("un euro", "euros"),
            "$": ("un dollar", "dollars"), "¥": ("un yen", "yens"), "°": ("un degré", "degrés"),
        },
        signs={"+": "plus", "&": "et", "@": "arobase"},
        ordinals={
            "er": "m", "re": "f", "ère": "f", "e": "m", "è": "m", "ème": "m", "ième": "m", "nd": "second",
            "nde": "seconde",
        },
        ordinal_only={"er": (1,), "re": (1,), "ère": (1,), "nd": (2,), "nde": (2,)},
        one_hour="une heure",
        hours="heures",
        clock_hours=True,
        clock_feminine={21: "vingt et une"},
    ),
    "it": Language(
        letters=_LATIN + "àèéìòù",
        joiners=APOSTROPHE,
        folds={"á": "à", "í": "ì", "ó": "ò", "ú": "ù", "ñ": "gn"},
        clipped=("po", "mo", "be"),
        numbers="it",
        thousands=". " + _GROUPING_SPACES,
        decimal=",",
        decimal_word="virgola",
        point_word="punto",
        minus="meno",
        units={
            "%": ("uno per cento", "per cento"), "€": ("un euro", "euro"),
            "$": ("un dollaro", "dollari"), "£": ("una sterlina", "sterline"),
            "¥": ("uno yen", "yen"), "°": ("un grado", "gradi"),
        },
        signs={"+": "più", "&": "e", "@": "chiocciola"},
        ordinals={"º": "m", "ª": "f"},
        one_hour="un'ora",
        hours="ore",
        clock_feminine={1: "una"},
    ),
    "pt": Language(
        letters=_LATIN + "àáâãçéêíóôõú",
        joiners=APOSTROPHE + HYPHEN,
        folds={"ñ": "nh"},
        numbers="pt_BR",  # most Portuguese corpora are Brazilian: dezesseis, not dezasseis
        thousands=". " + _GROUPING_SPACES,
        decimal=",",
        decimal_word="vírgula",
        point_word="ponto",
        minus="menos",
        units={
            "%": ("um por cento", "por cento"), "€": ("um euro", "euros"),
            "$": ("um dólar", "dólares"), "¥": ("um iene", "ienes"), "°": ("um grau", "graus"),
        },
        signs={"+": "mais", "&": "e", "@": "arroba"},
        ordinals={"º": "m", "ª": "f"},
        one_hour="uma hora",
        hours="horas",
        clock_feminine={1: "uma", 2: "duas", 21: "vinte e uma", 22: "vinte e duas"},
        centuries=("século", "séculos"),
        century_and=("e", "a", "ao", "ou"),
    ),
}  # fmt: skip


_CODE = re.compile(r"[a-z]{2,8}([-_][a-z0-9]+)*", re.IGNORECASE)


def has_rules(code: str) -> bool:
    """Return whether a language (see `language`) is in `LANGUAGES`, and numbers and signs can be spelled."""
    return _base(code) in LANGUAGES


def check_code(code: str) -> None:
    """Raise ValueError for a text that is no language code, with rules or without."""
    if not _CODE.fullmatch(code):
        raise ValueError(f"language {code!r} is not a code such as ca, sv-SE or kmr; correct it")


def _base(code: str) -> str:
    """Return the code without region."""
    return code.replace("_", "-").split("-")[0].lower()


def language(code: str) -> Language:
    """Return the rules of a language: "ca", or with a region, "pt-BR" or "pt_BR", which is ignored.

    Raises:
        ValueError: the language has no rules.
    """
    found = LANGUAGES.get(_base(code))
    if found is None:
        raise ValueError(
            f"language {code!r}: only {', '.join(LANGUAGES)} have rules; add its rules to text/languages.py"
        )
    return found
