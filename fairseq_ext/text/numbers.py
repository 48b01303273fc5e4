"""Numbers in digits to words: cardinals, thousands, decimals, ordinals, clock times, signs, centuries.

The words come from the package num2words, the rules around it from `languages`. There is no grammar ("2 dones" becomes
"dos dones"); dates are read number by number. How telephone numbers are read nobody can tell, see `unclear`.
"""

import re
from collections.abc import Callable
from functools import partial

from .languages import Language

# Longer numbers are read digit by digit, like those that begin with 0; without separators few people write as many.
_MAX_DIGITS, _MAX_UNGROUPED = 12, 6
_NO_LETTER = r"(?![^\W\d_])"
_HOUR, _MINUTE = r"(?P<hour>[01]?\d|2[0-4])", r"(?P<minute>[0-5]\d)"
# Before a minus sign stands nothing else than this, so that the hyphens of "covid-19" and "1939-1945" are none.
_MINUS = r"(?P<minus>(?<![^\s([{«‹“„\"'¿¡:;=/—])(?:[-–]|−\s?))?"
# Digits in groups that spaces, points, hyphens or parentheses separate. From 7 digits on it may be a telephone number.
_GROUPS, _TELEPHONE_DIGITS = re.compile(r"\+?\(?\d+(?:(?:[\s.-]|\)\s?|\s?\()\d+)*"), 7
# Nobody groups the digits of a telephone number by points and threes; with spaces, from 9 digits on, many do.
_TELEPHONE_THOUSANDS = 9
_DATE, _YEARS = re.compile(r"\d\d?\.\d\d?\.\d{4}"), re.compile(r"\d{4}-\d{4}")
_POINTED = re.compile(r"\d{1,6}\.\d+")
# A dash after a number and before another, with a space on one side: a range, or the second number's minus.
_RANGE_OR_MINUS = re.compile(r"\d\s+[-–]\d|\d−\d")
_ROMAN = {"x": 10, "ix": 9, "v": 5, "iv": 4, "i": 1}

Match = re.Match[str]
Reader = Callable[[Match], str]
Step = tuple[re.Pattern[str], Reader]


class NumberReader:
    """The reader of the numbers of one language."""

    def __init__(self, rules: Language) -> None:
        self._rules = rules
        self._thousands = re.compile(
            rf"\d{{1,3}}(?P<group>[{re.escape(rules.thousands)}])\d{{3}}(?:(?P=group)\d{{3}})*"
        )
        # "10 000" where no space groups digits
        self._no_thousands = re.compile(r"(?!)" if " " in rules.thousands else r"\d 0\d\d(?!\d)")
        # Clock times first, while their digits are still there.
        self._steps = self._clock_steps() + self._number_steps()
        words, between = "|".join(rules.centuries), "|".join(rules.century_and)
        self._centuries = re.compile(rf"\b({words}) [ivx]+(?: (?:{between}) [ivx]+)*\b") if words else None

    def read(self, text: str) -> str:
        """Replace every number in digits, with its signs, by words, with spaces around them except after an apostrophe.

        The text has ASCII digits and straight apostrophes; the result has no digits.
        """
        if not any("0" <= character <= "9" for character in text):
            return text
        for pattern, reader in self._steps:
            text = pattern.sub(partial(_set_off, reader), text)
        return text

    def unclear(self, text: str) -> list[str]:
        """Find numbers that `read` may read in several ways: telephone numbers, and a dash that may be a minus."""
        if not any("0" <= character <= "9" for character in text):
            return []
        found = [match[0] for match in _GROUPS.finditer(text) if self._may_be_telephone(match[0])]
        return found + _RANGE_OR_MINUS.findall(text) + self._no_thousands.findall(text)

    def _may_be_telephone(self, text: str) -> bool:
        num_digits = sum(character.isdigit() for character in text)
        if num_digits < _TELEPHONE_DIGITS or any(p.fullmatch(text) for p in (_DATE, _YEARS, _POINTED)):
            return False
        grouped = self._thousands.fullmatch(text)
        return grouped is None or (grouped["group"].isspace() and num_digits >= _TELEPHONE_THOUSANDS)

    def read_centuries(self, text: str) -> str:
        """Replace the Roman numerals after the word for a century: "segle xx" becomes "segle vint".

        "segle i" is kept: it may be the word "and". The text is words in lower case with single spaces.
        """
        return self._centuries.sub(self._century, text) if self._centuries else text

    def cardinal(self, number: int) -> str:
        """Convert a number, not negative, to words."""
        from num2words import num2words

        words: str = num2words(number, lang=self._rules.numbers)
        if self._rules.numbers == "it":  # num2words 0.5.14: "centodicotto", and "tré" for some numbers only
            words = re.sub(r"(?<=\w)tre\b", "tré", words.replace("dicotto", "diciotto"))
        return words

    def ordinal(self, number: int, form: str) -> str:
        """Convert an ordinal, 1 or more, to words; `form` is "m", "f", "mp", "fp" or another of `Language.ordinals`."""
        from num2words import num2words

        code = self._rules.numbers
        if code == "ca":  # num2words has no 30th and no feminine
            return _catalan_ordinal(self.cardinal(number), number, form)
        if form in {"second", "seconde"}:
            return form
        if code == "fr" and number == 1:
            return "première" if form == "f" else "premier"
        words: str = num2words(number, lang=code, to="ordinal")
        if code == "fr":
            return re.sub(r"(cent|vingt)sième", r"\1ième", words)  # num2words 0.5.14: "quatre-vingtsième"
        if code == "es":
            words = _SPANISH_TEENS.get(number, words)
        if form == "short":
            return words.removesuffix("o")
        return re.sub(r"o\b", "a", words) if form == "f" else words

    def _number_steps(self) -> list[Step]:
        rules = self._rules
        decimal = re.escape(rules.decimal)
        number = rf"(?P<number>(?:{self._thousands.pattern}(?!\d)|\d+)(?:{decimal}\d+)?)"
        units = "".join(rules.units)
        money = "".join(sign for sign in "€$£¥" if sign in rules.units)
        marks = "|".join(sorted(rules.ordinals, key=len, reverse=True))
        # In this order: the more special forms before plain numbers, which match the digits of all of them.
        steps: list[Step] = [
            (re.compile(rf"(?<=\d)\s?[°º]\s?[CF]{_NO_LETTER}"), lambda match: "°"),
            (
                re.compile(
                    rf"(?<![\d.,])(?<!^[-–−])(?<![\s(][-–−])(?P<number>[1-9]\d{{0,3}})\.?(?P<mark>{marks}){_NO_LETTER}"
                ),
                self._ordinal,
            ),
            (re.compile(rf"{_MINUS}(?<!\d)(?P<unit>[{money}])(?P<inner>[-–−]?){number}"), self._number),
        ]
        if rules.point_word:
            point = r"(?<![\d.])(?P<number>\d+)\.(?P<rest>\d+)(?!\d|\.\d)"
            steps.append((re.compile(_MINUS + point), self._pointed))
        return [*steps, (re.compile(rf"{_MINUS}{number}(?:\s?(?P<unit>[{units}]))?"), self._number)]

    def _clock_steps(self) -> list[Step]:
        start = r"(?<![\d.,:])"
        plain = re.compile(rf"{start}{_HOUR}:{_MINUTE}(?![\d:])(?:\s?h{_NO_LETTER})?")
        if not self._rules.hours:
            return [(plain, self._clock)]
        return [
            (re.compile(rf"{start}{_HOUR}\.{_MINUTE}\s?h{_NO_LETTER}"), self._clock),
            (re.compile(rf"{start}{_HOUR}\s?h\s?{_MINUTE}(?!\d)"), self._clock),
            (plain, self._clock),
            (re.compile(rf"{start}(?P<hour>\d{{1,4}})\s?h{_NO_LETTER}"), self._duration),
        ]

    def _number(self, match: Match) -> str:
        number, minus = match["number"], self._minus(match)
        one, many = self._rules.units.get(match.groupdict().get("unit") or "", ("", ""))
        if number == "1" and (one or _is_elided(match)):
            return minus + (one or self._rules.elided_one or self.cardinal(1))
        words = self._year(number) if self._is_year(number) and not many else self._digits(number)
        return f"{minus}{words} {many}".rstrip()

    def _is_year(self, number: str) -> bool:
        return self._rules.years_in_pairs and re.fullmatch(r"1[1-9]\d\d|20\d\d", number) is not None

    def _year(self, number: str) -> str:
        from num2words import num2words

        words: str = num2words(int(number), lang=self._rules.numbers, to="year")
        return words

    def _pointed(self, match: Match) -> str:
        """Read a number with a single point; one before exactly three digits groups, and is left to `_number`."""
        if len(match["number"]) <= 3 and len(match["rest"]) == 3:
            return match[0]
        whole, rest = self._integer(match["number"]), self._decimals(match["rest"])
        return f"{self._minus(match)}{whole} {self._rules.point_word} {rest}"

    def _minus(self, match: Match) -> str:
        sign = match.groupdict().get("minus") or match.groupdict().get("inner") or ""
        # In "10 -12" it is a dash between two numbers.
        after_number = match.string[: match.start()].rstrip()[-1:].isdigit() and not sign.startswith("−")
        return f"{self._rules.minus} " if sign and not after_number else ""

    def _digits(self, text: str) -> str:
        whole, _, decimals = text.partition(self._rules.decimal)
        words = self._integer(whole)
        return f"{words} {self._rules.decimal_word} {self._decimals(decimals)}" if decimals else words

    def _integer(self, text: str) -> str:
        digits = re.sub(r"\D", "", text)
        most = _MAX_UNGROUPED if digits == text else _MAX_DIGITS
        if len(digits) > most or (len(digits) > 1 and digits[0] == "0"):
            return self._one_by_one(digits)
        return self.cardinal(int(digits))

    def _one_by_one(self, digits: str) -> str:
        return " ".join(self.cardinal(int(digit)) for digit in digits)

    def _decimals(self, digits: str) -> str:
        """Read decimals: "05" is zero five; "25" is a number except where decimals are read one by one."""
        if self._rules.decimals_one_by_one or len(digits) > 2:
            return self._one_by_one(digits)
        return self._integer(digits)

    def _ordinal(self, match: Match) -> str:
        number, mark = int(match["number"]), match["mark"]
        if number not in self._rules.ordinal_only.get(mark, (number,)):
            return match[0]
        return self.ordinal(number, self._rules.ordinals[mark])

    def _clock(self, match: Match) -> str:
        hour, minute = int(match["hour"]), match["minute"]
        words = self._rules.clock_feminine.get(hour) or self.cardinal(hour)
        if self._rules.clock_hours:
            words = self._rules.one_hour if hour == 1 else f"{words} {self._rules.hours}"
        return words if minute == "00" else f"{words} {self._integer(minute)}"

    def _duration(self, match: Match) -> str:
        hour = int(match["hour"])
        words = self._rules.clock_feminine.get(hour) or self.cardinal(hour)
        return self._rules.one_hour if hour == 1 else f"{words} {self._rules.hours}"

    def _century(self, match: Match) -> str:
        first, *rest = match[0].split(" ")
        numbers = {numeral: _roman(numeral) for numeral in rest if numeral not in self._rules.century_and}
        if not all(numbers.values()) or rest[0] == "i":
            return match[0]
        read = {n: self.ordinal(v, "m") if v <= 10 else self.cardinal(v) for n, v in numbers.items()}
        return " ".join([first, *(read.get(word, word) for word in rest)])


def _set_off(reader: Reader, match: Match) -> str:
    words = reader(match)
    if words == match[0]:
        return words
    return f"{words} " if _is_elided(match) else f" {words} "


def _is_elided(match: Match) -> bool:
    return match.start() > 0 and match.string[match.start() - 1] == "'"


def _roman(numeral: str) -> int:
    """Return the value of a Roman numeral up to 39; 0 for other words."""
    if not re.fullmatch(r"x{0,3}(?:ix|iv|v?i{0,3})", numeral):
        return 0
    return sum(_ROMAN[part] for part in re.findall(r"ix|iv|x|v|i", numeral))


_CATALAN_FIRST = {1: "primer", 2: "segon", 3: "tercer", 4: "quart"}
_CATALAN_STEMS = {
    "cinc": "cinqu",
    "nou": "nov",
    "deu": "des",
    "cents": "cent",
    "milió": "milion",
    "milions": "milion",
}
_CATALAN_ENDINGS = {
    "m": ("", "è"), "f": ("a", "ena"), "mp": ("s", "ens"), "fp": ("es", "enes"),
    "valencian": ("", "é"),
}  # fmt: skip


def _catalan_ordinal(cardinal: str, number: int, form: str) -> str:
    """Build an ordinal: four are irregular, others are the stem of the last word and an ending (GIEC 2016, 18.2)."""
    short, long = _CATALAN_ENDINGS[form]
    if number in _CATALAN_FIRST:
        return _CATALAN_FIRST[number] + short
    head, last = re.fullmatch(r"(.*?)(\w+)", cardinal, re.DOTALL).groups()  # type: ignore[union-attr]
    return head + _CATALAN_STEMS.get(last, last.rstrip("ae")) + long


# num2words 0.5.14: "décimoprimero", "décimo tercero"
_SPANISH_TEENS = {
    11: "undécimo", 12: "duodécimo", 13: "decimotercero", 14: "decimocuarto", 15: "decimoquinto", 16: "decimosexto",
    17: "decimoséptimo", 18: "decimoctavo", 19: "decimonoveno",
}  # fmt: skip
