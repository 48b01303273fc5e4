"""Lists of languages as commands take them, "fr,it": checked before any work, and the codes that exist named."""

from collections.abc import Collection, Sequence

# Of Whisper large-v3 (Radford et al. 2022, and openai-whisper's tokenizer.py); other models know some of them.
WHISPER = frozenset(
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy "
    "id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa "
    "sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh".split()
)
# ISO 639-1, https://www.loc.gov/standards/iso639-2/php/code_list.php, and what Whisper adds to it.
KNOWN = WHISPER | frozenset(
    "aa ab ae ak an av ay bi bm ce ch co cr cu cv dv dz ee eo ff fj fy ga gd gn gv ho hz ia ie ig ii ik io iu jv kg ki "
    "kj kl kr ks ku kv kw ky lg li lu mh na nb nd ng nr nv ny oj om or os pi qu rm rn rw sc se sg sm ss st ti tn to ts "
    "tw ty ug ve vo wa wo xh za zu".split()
)


def read_codes(text: str, known: Collection[str] = KNOWN) -> tuple[str, ...]:
    """Read a list such as "fr,it", each code once; raise ValueError where one is not known, or there is none."""
    codes = tuple(dict.fromkeys(code.strip() for code in text.split(",") if code.strip()))
    check_known(codes, known)
    return codes


def check_known(codes: Sequence[str], known: Collection[str], model: str = "") -> None:
    """Raise ValueError, which names what is known (by a model), for a code that is not, and for no code at all."""
    unknown = [code for code in codes if code not in known]
    if unknown or not codes:
        raise ValueError(
            f"languages: found {', '.join(unknown) or 'none'}, expected some of {', '.join(sorted(known))}; correct "
            f"them{f', or take another model than {model}' if model else ''}"
        )
