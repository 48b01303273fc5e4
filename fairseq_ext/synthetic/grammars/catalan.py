"""Catalan: every letter with a diacritic, ç, l·l, apostrophes and hyphens occur."""

GRAMMAR = """
sentence: <clause> . @5 | <clause> <late> . @4 | <when> , <clause> . @5 | <clause> , <because> . @3
sentence: <if> , <clause> . @2 | <order> . @3 | <question> ? @2

clause: <who.{gn}> <does.{n}> @3
clause: <who.{gn}> no <does.{n}> , però <who.{gn}> sí | <who.{gn}> <does.{n}> , i <who.{gn}> també
clause: <who.{gn}> diu/diuen que <who.{gn}> <does.{n}>
clause: a <where> hi ha <things>

who.{gn}: <the.{gn}> <person.{gn}> @4 | <the.{gn}> <person.{gn}> <trait.{gn}> @2
who.{gn}: un/una/uns/unes <person.{gn}> <trait.{gn}> | <the.{gn}> <person.{gn}> de <origin>
the.{gn}: el/la/els/les
person.{gn}: home/dona/homes/dones | nen/nena/nens/nenes | avi/àvia/avis/àvies | veí/veïna/veïns/veïnes
person.{gn}: mestre/mestra/mestres/mestres | amic/amiga/amics/amigues | germà/germana/germans/germanes
trait.{gn}: jove/jove/joves/joves | alt/alta/alts/altes | feliç/feliç/feliços/felices
trait.{gn}: català/catalana/catalans/catalanes
origin: el poble | la botiga | el col·legi | aquí

does.{n}: menja/mengen <food> @2 | beu/beuen <drink> @2 | llegeix/llegeixen <reading> @2
does.{n}: escriu/escriuen <reading> | canta/canten <song> | escolta/escolten <song> | mira/miren <sight>
does.{n}: busca/busquen <things> @2 | ven/venen <things> | té/tenen <counted> @2
does.{n}: juga/juguen a <where> | camina/caminen per <where> | treballa/treballen a <where>
does.{n}: dorm/dormen a <where> | parla/parlen amb <who.ms> | parla/parlen amb <who.fp>

food: pa amb formatge | raïm dolç | una sopa calenta | arròs amb peix | una poma verda | torró
drink: un got de aigua | aigua fresca | cafè amb llet | una tassa de cafè | suc de raïm
reading: una carta llarga | la novel·la nova | el llibre de història | un poema curt | la primera pàgina
song: una cançó antiga | la música de el veí | una òpera italiana | la cançó de el avi
sight: la pel·lícula nova | la lluna plena | els avions | el mar | els ocells de el jardí

things: <a.{gn}> <object.{gn}> <look.{gn}>
a.{gn}: un/una/uns/unes
object.m{n}: camió/camions | rellotge/rellotges | sofà/sofàs | gat/gats | pingüí/pingüins
object.f{n}: cadira/cadires | capsa/capses | clau/claus | peça/peces
look.{gn}: vermell/vermella/vermells/vermelles | petit/petita/petits/petites | vell/vella/vells/velles
counted: <number> <object.{g}p> <look.{g}p>
number: tres | quatre | cinc | sis | set | vuit | deu | quinze | vint-i-cinc | trenta

where: la plaça | el mercat | la escola | el col·legi | el jardí | la església | el balcó | la platja | el camí
when: cada matí | avui | demà | a la tarda | a el vespre | els diumenges | a el hivern | a el estiu
when: a les <hour> de el matí @2 | abans de dinar | després de sopar
late: cada matí | avui | a la tarda | els diumenges | a les <hour> de el vespre | abans de sopar | després de dinar
hour: cinc | sis | set | vuit | deu
because: perquè <weather> @3 | perquè és tard | quan <weather>
weather: plou | fa fred | fa sol | fa molt vent
if: si <weather> | quan <weather>

order: dóna-me'l <late> , si us plau | porta'm <things> , si us plau @2 | explica-m'ho <late>
order: digues-li que <clause> | deixa-la a <where> , si us plau | vés-hi amb <who.{gn}>
question: què menja <who.{g}s> <late> | on és <the.{g}s> <object.{g}s> <look.{g}s> | per què plou <late>
question: qui parla amb <who.{gn}>
"""

_VOWEL = "h?[aeiouàèéíòóú]"
# The article: masculine before any vowel, feminine not before an unstressed i or u (la història). Then the
# preposition contracts with the article that is left (del, al, pel), and is cut before a vowel (d'aigua).
REWRITES = (
    (rf"(?<!\S)el (?={_VOWEL})", "l'"),
    (r"(?<!\S)la (?=h?[aeoàèéíòóú])", "l'"),
    (r"(?<!\S)de el(s?)(?!\S)", r"del\1"),
    (r"(?<!\S)a el(s?)(?!\S)", r"al\1"),
    (r"(?<!\S)per el(s?)(?!\S)", r"pel\1"),
    (rf"(?<!\S)de (?={_VOWEL})", "d'"),
)

NUMERALS = "tres=3 quatre=4 cinc=5 sis=6 set=7 vuit=8 deu=10 quinze=15 vint-i-cinc=25 trenta=30"
