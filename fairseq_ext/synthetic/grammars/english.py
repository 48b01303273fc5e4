"""English: apostrophes of contractions and of possession."""

GRAMMAR = """
sentence: <clause> . @5 | <clause> <late> . @4 | <when> , <clause> . @5 | <clause> , <because> . @3
sentence: <if> , <clause> . @2 | <order> . @3 | <question> ? @2

clause: <who.{n}> <does.{n}> @5
clause: <who.{n}> doesn't/don't <do> , but <who.{n}> does/do
clause: <who.{n}> says/say that <who.{n}> <does.{n}>
clause: there's a <look> <object.s> <where> | there are some <look> <object.p> <where>

who.{n}: the <person.{n}> @4 | the <trait> <person.{n}> @2 | a/some <trait> <person.{n}> | <owner> <person.{n}>
person.{n}: man/men | woman/women | boy/boys | girl/girls | neighbour/neighbours | teacher/teachers
person.{n}: friend/friends | brother/brothers | sister/sisters
trait: young | tall | happy | old
owner: the teacher's | my | the girl's

does.{n}: eats/eat <food> @2 | drinks/drink <drink> @2 | reads/read <reading> @2
does.{n}: writes/write <reading> | sings/sing <song> | hears/hear <song> | watches/watch <sight>
does.{n}: looks/look for <things> @2 | sells/sell <things> | has/have <counted> @2
does.{n}: plays/play <where> | walks/walk <where> | works/work <where> | sleeps/sleep <where>
does.{n}: talks/talk with <who.s> | talks/talk with <who.p>
do: eat <food> | drink <drink> | read <reading> | sing <song> | work <where>

food: bread and cheese | sweet grapes | hot soup | rice with fish | a green apple
drink: a glass of water | fresh water | coffee with milk | a cup of tea | grape juice
reading: a long letter | the new novel | the history book | a short poem | the first page
song: an old song | the neighbour's music | the church bells
sight: the new film | the full moon | the planes | the sea | the birds

things: a <look> <object.s> | some <look> <object.p>
object.{n}: truck/trucks | clock/clocks | sofa/sofas | cat/cats | penguin/penguins | chair/chairs | box/boxes | key/keys
look: red | small | old
counted: <number> <look> <object.p>
number: three | four | five | six | seven | eight | ten | fifteen | twenty | thirty

where: in the square | at the market | at school | in the garden | near the church | on the balcony | on the beach
when: every morning | today | in the afternoon | in the evening | on Sundays | in winter | in summer
when: at <hour> in the morning @2 | before lunch | after dinner
late: every morning | today | in the afternoon | on Sundays | at <hour> in the evening | before dinner | after lunch
hour: five | six | seven | eight | ten
because: because <weather> @3 | when <weather>
weather: it's raining | it's cold | it's sunny | it's very windy
if: if <weather> | when <weather>

order: give it to me <late> , please | bring me <things> , please @2 | don't tell me <late>
order: tell him that <clause> | leave it <where> , please | go there with <who.{n}>
question: what does <who.s> eat <late> | where's the <look> <object.s> | who's talking with <who.{n}>
"""

REWRITES = ((r"(?<!\S)a (?=[aeiou])", "an "),)

NUMERALS = "three=3 four=4 five=5 six=6 seven=7 eight=8 ten=10 fifteen=15 twenty=20 thirty=30"
