"""Spanish: ñ, ü, written accents, opening question marks."""

GRAMMAR = """
sentence: <clause> . @5 | <clause> <late> . @4 | <when> , <clause> . @5 | <clause> , <because> . @3
sentence: <if> , <clause> . @2 | <order> . @3 | ¿ <question> ? @2

clause: <who.{gn}> <does.{n}> @3
clause: <who.{gn}> no <does.{n}> , pero <who.{gn}> sí | <who.{gn}> <does.{n}> , y <who.{gn}> también
clause: <who.{gn}> dice/dicen que <who.{gn}> <does.{n}>
clause: en <where> hay <things>

who.{gn}: <the.{gn}> <person.{gn}> @4 | <the.{gn}> <person.{gn}> <trait.{gn}> @2
who.{gn}: un/una/unos/unas <person.{gn}> <trait.{gn}> | <the.{gn}> <person.{gn}> de <origin>
the.{gn}: el/la/los/las
person.{gn}: hombre/mujer/hombres/mujeres | niño/niña/niños/niñas | abuelo/abuela/abuelos/abuelas
person.{gn}: vecino/vecina/vecinos/vecinas | maestro/maestra/maestros/maestras
person.{gn}: amigo/amiga/amigos/amigas | hermano/hermana/hermanos/hermanas
trait.{gn}: joven/joven/jóvenes/jóvenes | alto/alta/altos/altas | feliz/feliz/felices/felices
trait.{gn}: español/española/españoles/españolas
origin: el pueblo | la tienda | el colegio | aquí

does.{n}: come/comen <food> @2 | bebe/beben <drink> @2 | lee/leen <reading> @2
does.{n}: escribe/escriben <reading> | canta/cantan <song> | escucha/escuchan <song> | mira/miran <sight>
does.{n}: busca/buscan <things> @2 | vende/venden <things> | tiene/tienen <counted> @2
does.{n}: juega/juegan en <where> | camina/caminan por <where> | trabaja/trabajan en <where>
does.{n}: duerme/duermen en <where> | habla/hablan con <who.ms> | habla/hablan con <who.fp>

food: pan con queso | uvas dulces | una sopa caliente | arroz con pescado | una manzana verde | turrón
drink: un vaso de agua | agua fresca | café con leche | una taza de café | zumo de uva
reading: una carta larga | la novela nueva | el libro de historia | un poema corto | la primera página
song: una canción antigua | la música de el vecino | una ópera italiana | la canción de el abuelo
sight: la película nueva | la luna llena | los aviones | el mar | los pájaros de el jardín

things: <a.{gn}> <object.{gn}> <look.{gn}>
a.{gn}: un/una/unos/unas
object.m{n}: camión/camiones | reloj/relojes | sofá/sofás | gato/gatos | pingüino/pingüinos
object.f{n}: silla/sillas | caja/cajas | llave/llaves | pieza/piezas
look.{gn}: rojo/roja/rojos/rojas | pequeño/pequeña/pequeños/pequeñas | viejo/vieja/viejos/viejas
counted: <number> <object.{g}p> <look.{g}p>
number: tres | cuatro | cinco | seis | siete | ocho | diez | quince | veinticinco | treinta

where: la plaza | el mercado | la escuela | el colegio | el jardín | la iglesia | el balcón | la playa | el camino
when: cada mañana | hoy | por la tarde | por la noche | los domingos | en invierno | en verano
when: a las <hour> de la mañana @2 | antes de comer | después de cenar
late: cada mañana | hoy | por la tarde | los domingos | a las <hour> de la tarde | antes de cenar | después de comer
hour: cinco | seis | siete | ocho | diez
because: porque <weather> @3 | porque es tarde | cuando <weather>
weather: llueve | hace frío | hace sol | hace mucho viento
if: si <weather> | cuando <weather>

order: dámelo <late> , por favor | tráeme <things> , por favor @2 | explícamelo <late>
order: dile que <clause> | déjala en <where> , por favor | vete con <who.{gn}>
question: qué come <who.{g}s> <late> | dónde está <the.{g}s> <object.{g}s> <look.{g}s> | por qué llueve <late>
question: quién habla con <who.{gn}>
"""

REWRITES = ((r"(?<!\S)de el(?!\S)", "del"), (r"(?<!\S)a el(?!\S)", "al"))

NUMERALS = "tres=3 cuatro=4 cinco=5 seis=6 siete=7 ocho=8 diez=10 quince=15 veinticinco=25 treinta=30"
