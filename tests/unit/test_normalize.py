"""Normalisation of transcripts: cases per language, and properties of any text."""

import unicodedata
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairseq_ext.text.languages import LANGUAGES
from fairseq_ext.text.normalize import alphabet, dropped, is_spelled, normalize, unread
from fairseq_ext.text.units import from_characters, to_characters

CATALAN = [
    # geminate l, in every shape it is typed
    ("Col·legi, coŀlegi, COŀLEGI, CoĿLegi", "col·legi col·legi col·legi col·legi"),
    ("col.legi PARAL.LEL col•legi col‧legi col∙legi col⋅legi", "col·legi paral·lel" + " col·legi" * 4),
    ("final.La S.L.L. sol·", "final la s l l sol"),
    ("un ŀ sol", "un l sol"),
    # apostrophes and quotes
    ("L’home d‘aigua, n´hi ha; ‘cita’, ''doble'' i l'«altre»", "l'home d'aigua n'hi ha cita doble i l altre"),
    # hyphens and dashes
    ("anar-se'n, vint‑i‐dos, nord-occidental", "anar-se'n vint-i-dos nord-occidental"),
    ("sí —va dir–, no - potser -- -x-", "sí va dir no potser x"),
    # marks and foreign letters
    ("ÇA NO ÉS AIXÒ: PINGÜÍ", "ça no és això pingüí"),
    ("Núñez Ångström Straße Łukasz Ædipus", "núnyez angstrom strasse lukasz aedipus"),
    # numbers
    ("1, 21, 100, 101, 1000, 2021", "un vint-i-un cent cent un mil dos mil vint-i-un"),
    ("1.234 i 10 000 i 1.234.567", "mil dos-cents trenta-quatre i deu mil i un milió dos-cents trenta-quatre mil "
     "cinc-cents seixanta-set"),
    ("3,14; 0,05; 1.234,5; 3,1416", "tres coma catorze zero coma zero cinc mil dos-cents trenta-quatre coma cinc "
     "tres coma un quatre un sis"),
    ("versió 3.14, 12.05.2020", "versió tres punt catorze dotze zero cinc dos mil vint"),
    ("007 i 1234567890123", "zero zero set i un dos tres quatre cinc sis set vuit nou zero un dos tres"),
    ("25 %, l'1%, 1 €, 5€, $5, 20 ºC", "vint-i-cinc per cent l'u per cent un euro cinc euros cinc dòlars vint graus"),
    ("-5 graus, covid-19, 1939-1945", "menys cinc graus covid dinou mil nou-cents trenta-nou mil nou-cents "
     "quaranta-cinc"),
    ("1r 2n 3r 4t 5è 30è 101è 1.º", "primer segon tercer quart cinquè trentè cent unè primer"),
    ("1a 2a 5a 21a 5ª 1rs 5ens 5é", "primera segona cinquena vint-i-unena cinquena primers cinquens cinqué"),
    ("10t 2r B2", "deu t dos r b dos"),
    ("10:30, 2:15, 21:00 h, 10.30 h, 15h, 1 h, 22 h, 10:05", "deu trenta dues quinze vint-i-una deu trenta quinze "
     "hores una hora vint-i-dues hores deu zero cinc"),
    ("l'1 d'octubre, l'11 de setembre", "l'u d'octubre l'onze de setembre"),
    ("segle XX, segles XVI i XVII, segle V", "segle vint segles setze i disset segle cinquè"),
    ("el segle i la gent; segle IIX", "el segle i la gent segle iix"),
    ("Pa & vi + @", "pa i vi més arrova"),
    ("٣", "tres"),
]  # fmt: skip

OTHERS = [
    ("es", "¿Qué? El 1º, la 2ª, 13º, 3er, 21ª; 1.500 € y 31,5 %",
     "qué el primero la segunda decimotercero tercer vigésima primera mil quinientos euros y treinta y uno coma "
     "cinco por ciento"),
    ("es", "Siglo XX, siglo V: pingüino ñandú", "siglo veinte siglo quinto pingüino ñandú"),
    ("es", "O'Donnell dio-se col·legi", "o donnell dio se collegi"),
    ("en", "It’s 1984, the 21st; 3.14 and 1,234 at 10:30", "it's nineteen eighty four the twenty first three point "
     "one four and one thousand two hundred and thirty four at ten thirty"),
    ("en", "twenty-one dogs' £2 café", "twenty one dogs two pounds cafe"),
    ("fr", "L’œuvre du 1er, 1re, 2e, 80e, 200e: 10 000 €", "l'oeuvre du premier première deuxième "
     "quatre-vingtième deux centième dix mille euros"),
    ("fr", "Est-ce à 14h30 ou 1 h? Ça, 3,5", "est-ce à quatorze heures trente ou une heure ça trois virgule cinq"),
    ("it", "Un po' d'acqua: 1ª, 118; 123! perché", "un po' d'acqua prima centodiciotto centoventitré perché"),
    ("it", "2018 «città»", "duemiladiciotto città"),
    ("pt-BR", "Século XIX: 16 copos d'água, disse-lhe a 2ª às 22:10", "século dezenove dezesseis copos d'água "
     "disse-lhe a segunda às vinte e duas dez"),
]  # fmt: skip

# Half any character, half what the rules look at.
TEXTS = st.text(max_size=40) | st.text(
    "lŀĿL·.'’-–−0123456789,:%€$ºªaéñrhi segleXxvI po\u00a0\u0301", max_size=40
)


@pytest.mark.parametrize(("text", "expected"), CATALAN)
def test_catalan(text: str, expected: str) -> None:
    assert normalize(text, "ca") == expected


@pytest.mark.parametrize(("code", "text", "expected"), OTHERS)
def test_other_languages(code: str, text: str, expected: str) -> None:
    assert normalize(text, code) == expected


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from(sorted(LANGUAGES)), st.sampled_from(["lower", "upper"]))
@example("segle, XX", "ca", "upper")
@example("l''·l l'·'l", "ca", "lower")
@example("po'- po'a", "it", "upper")
@example("İ ẞ ŀ\u0301 ½ ①", "ca", "upper")
def test_any_text_becomes_words_of_the_alphabet(text: str, code: str, case: str) -> None:
    normal = normalize(text, code, case=case)
    assert set(normal) <= alphabet(code, case=case)
    assert normal == " ".join(normal.split(" ")).strip()
    assert "  " not in normal
    assert normalize(normal, code, case=case) == normal
    assert normalize(normal, code) == normalize(text, code)  # both cases say the same
    assert unicodedata.is_normalized("NFC", normal)


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.sampled_from(sorted(LANGUAGES)))
def test_composed_or_not_makes_no_difference(text: str, code: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    assert normalize(unicodedata.normalize("NFD", composed), code) == normalize(composed, code)


@pytest.mark.parametrize("code", sorted(LANGUAGES))
def test_every_number_is_read_without_digits(code: str) -> None:
    for number in [*range(120), 200, 1001, 99_999, 10**6, 123_456_789_012, 10**13]:
        words = normalize(str(number), code)
        assert words
        assert set(words) <= alphabet(code)
    for number in range(1, 1200, 7):
        for mark in LANGUAGES[code].ordinals:
            assert set(normalize(f"{number}{mark}", code)) <= alphabet(code)


def test_normalised_catalan_is_unchanged() -> None:
    normal = normalize("La plaça, allà, del coŀlegi", "ca")
    assert normal.encode() == b"la pla\xc3\xa7a all\xc3\xa0 del col\xc2\xb7legi"
    assert from_characters(to_characters(normal)) == normal


def test_what_is_dropped_is_counted() -> None:
    found = dropped(["Москва, «ç» l·l 5 % ½", "Мñ!"], "ca")
    assert found == Counter({"м": 2, "о": 1, "с": 1, "к": 1, "в": 1, "а": 1, "½": 1})


NOT_READ = ["½ hora", "3 m²", "H₂O", "5/8", "n.º 3", "Mª", "el #1", "5 ‰", "*", "x_y", "℃", "™", "☎", "a = b", "±5",
    "5″", "a × b",
    "Москва", "a \u0301", "934567890", "934 567 890", "93 456 78 90", "+34 934 567 890", "(93) 456 78 90",
    "06.12.34.56.78",    "555-1234", "2020-05-12", "10 -12", "10−12", "\ud800"]  # fmt: skip
READ = ["—Què? «Sí» (no)… 'ah', “eh” – ¡oh! · • 5 % 20 °C", "l'any 1939-1945", "12.05.2020", "1939–1945", "25 %",
    "x\u0323 å", "a\u200b\u00ad", "", "de 3 a 5"]  # fmt: skip


@pytest.mark.parametrize("code", sorted(LANGUAGES))
def test_what_the_rules_cannot_read_makes_a_sentence_unsound(code: str) -> None:
    assert [text for text in NOT_READ if is_spelled(text, code)] == []
    assert [text for text in READ if not is_spelled(text, code)] == []
    grouped = "1,234,567 12,345,678,901" if code == "en" else "1.234.567 12.345.678.901"
    assert all(is_spelled(number, code) for number in grouped.split())


def test_what_is_not_read_is_named() -> None:
    assert unread("½ de 934 567 890 £", "ca") == Counter({"½": 1, "934 567 890": 1, "£": 1})
    assert unread("10 000", "en") == Counter({"0 000": 1})
    assert unread("10 000", "ca") == Counter()
    assert normalize("934567890", "es") == "nueve tres cuatro cinco seis siete ocho nueve cero"
    assert normalize("5 £, 1 £, ¥5", "it") == "cinque sterline una sterlina cinque yen"
    assert [normalize("1 ¥", code) for code in ("ca", "es", "en", "fr", "it", "pt")] == [
        "un ien", "un yen", "one yen", "un yen", "uno yen", "um iene",
    ]  # fmt: skip


@pytest.mark.parametrize("code", sorted(LANGUAGES))
def test_a_minus_is_read_and_a_dash_between_numbers_is_not(code: str) -> None:
    minus, five = LANGUAGES[code].minus, normalize("5", code)
    for text in ("−5", "-5", "–5", "− 5", "(-5)", "«–5»", "a, −5"):
        assert normalize(text, code).endswith(f"{minus} {five}"), text
    for text in ("-5 €", "-$5", "$-5", "–€5", "−5,5", "-5.5", "−5 °C", "–1.000"):
        if code != "en" or "," not in text:
            assert normalize(text, code).startswith(f"{minus} "), text
    assert normalize("10 − 5", code) == f"{normalize('10', code)} {minus} {five}"
    for text in ("3-5", "3–5", "3 - 5", "covid-19", "1939–1945", "—5"):
        assert minus not in normalize(text, code).split(), text
    assert not is_spelled("-5º", code)


PLAIN = [
    ("eu", "Ñabar: «Etxe‑ko» atea, bai?! L’amour d'", "ñabar etxe-ko atea bai l'amour d"),
    ("se", "Ǥuokte  ŋieida – Čálli", "ǥuokte ŋieida čálli"),
    ("pl", "Łódź; ŞİŞ", "łódź ş" + "i\u0307ş"),
    ("de", "Straße, ÄÖÜ & 'so'", "straße äöü so"),
    ("tr", "Iğdır'da İstanbul", "ığdır'da istanbul"),
    ("ky", "Ыссык-Көл — Өзгөчө, ҢҮ!", "ыссык-көл өзгөчө ңү"),
    ("el", "Ὁ ΛΌΓΟΣ· «ναί»", "ὁ λόγος ναί"),
    ("hi", "हिन्दी में लिखा है। क्या?", "हिन्दी में लिखा है क्या"),
    ("ta", "தமிழ் மொழி.", "தமிழ் மொழி"),
    ("zh-CN", "他說:「你好,世界。」〇", "他說 你好 世界 〇"),
    ("ja", "コーヒー・々", "コーヒー 々"),
    ("fa", "می\u200cخواهم؟", "میخواهم"),
    ("uz", "Toshkent togʻ, maʼno", "toshkent togʻ maʼno"),
    ("ha", "❤\ufe0f a\ufe0f_b|c \u0301d --e- f'-g", "a b c d e f g"),
]


@pytest.mark.parametrize(("code", "text", "expected"), PLAIN)
def test_languages_without_rules_keep_their_letters(code: str, text: str, expected: str) -> None:
    assert code.split("-")[0] not in LANGUAGES
    assert normalize(text, code) == expected
    assert normalize(unicodedata.normalize("NFD", text), code) == expected
    # "&" is read aloud, and nobody knows what "❤", "_" and "|" are; the mark of \u0301 has no letter
    assert is_spelled(text, code) == (code not in {"de", "ha"})


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from(["eu", "tr", "hi", "zh-CN"]))
@example("e\u200d\u0301-\u0301'x", "eu")
def test_any_text_of_a_language_without_rules_becomes_letters(text: str, code: str) -> None:
    normal = normalize(text, code)
    assert normal == " ".join(normal.split())
    assert normalize(normal, code) == normal
    assert unicodedata.is_normalized("NFC", normal)
    for word in normal.split():
        assert unicodedata.category(word[0])[0] == "L" or word[0] == "〇"
        assert word[-1] not in "'-"
        assert {unicodedata.category(c)[0] for c in word if c not in "'-〇"} <= {"L", "M"}
    assert from_characters(to_characters(normal)) == normal


@pytest.mark.parametrize("text", ["3 gauza", "Ⅷ. mendea", "१२ बजे", "m²", "½", "٣"])
def test_digits_are_not_spelled_without_rules(text: str) -> None:
    assert not is_spelled(text, "eu")
    assert is_spelled(text, "ca") == (text not in {"१२ बजे", "m²", "½"})


def test_upper_case_without_rules() -> None:
    assert normalize("istanbul'da ılık", "tr", case="upper") == "İSTANBUL'DA ILIK"
    assert normalize("ñabar istil", "eu", case="upper") == "ÑABAR ISTIL"


def test_what_is_dropped_without_rules_is_counted() -> None:
    assert dropped(["Ñ, + 5 ९ a\u0301"], "eu") == Counter({"+": 1, "5": 1, "९": 1})


def test_no_language_and_unknown_case() -> None:
    for code in ("", "x", "Basque (eu)", "ca;es"):
        with pytest.raises(ValueError, match="is not a code such as ca, sv-SE or kmr"):
            normalize("hola", code)
    with pytest.raises(ValueError, match="language 'xx': only ca, es, en, fr, it, pt have rules"):
        alphabet("xx")
    with pytest.raises(ValueError, match="case 'title' is unknown; use lower or upper"):
        normalize("hola", "ca", case="title")
