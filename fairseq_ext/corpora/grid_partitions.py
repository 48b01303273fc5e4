"""The partitions of GRID, of clips of mouths with speaker and sentence.

`all`            every clip as test: to score a lip reader that was trained on something else.
`overlapped`     all speakers on all sides, other sentences (as Assael et al. 2016, "LipNet", section 4.1, who draw the
                 held-out sentences too); where there are two speakers or more.
`unseen`         LipNet's unseen speakers 1, 2, 20 and 22 as test; valid: a twentieth of the others, one at least. Where
                 there are at least three speakers, one of these among them.
`SPEAKER`        a speaker alone (as Wand et al. 2016), for each of at least `MIN_CLIPS` clips.
`ssl`            the training and validation clips of `overlapped`, or of the only `SPEAKER`, without labels.
`NAME_100`       of `overlapped` or `SPEAKER`, 100 of the training clips; 200 contain them.
`NAME_100_auto`  these, and the other training clips with the texts of a recogniser in place of people's. Texts
                 that the corpus's grammar does not allow, which are wrong for certain, are left out and counted.

Sentences go to sides by a hash of the name that spells them, 80 : 5 : 15: a sentence is on the same side for every
speaker, on every machine, however many videos there are. Within a speaker each sentence occurs once. Speakers of
`overlapped` and `SPEAKER` are on all sides by intention: these are the corpus's published tasks, and say nothing about
unseen speakers.

Streams: `wrd` the words; `words` the same as units, a word each, with the mark of pieces; `ltr` characters;
`wordframes` the unit of `words` at each video frame, `<s>` in silence, which is CTC's blank (an empty line: not
known); `label_source` who wrote the text. The dictionaries hold the corpus's 51 words, and their letters, whatever the
training has of them, so that every partition's lip reader knows the same symbols.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..manifest import Utterance
from ..splits import by_speaker, random_rank
from ..text.published import Report
from ..text.spelling import Spelling
from ..text.units import WORD_START, to_characters
from .grid import WORDS, SpokenWord, is_sentence, name_of, words_of_frames
from .partitions import Partition, divide

# Of Assael et al. 2016, section 4.1: two men and two women.
UNSEEN = ("s1", "s2", "s20", "s22")
# A side of 15 % then has about 3 clips: enough for a training, too few for a result.
MIN_CLIPS = 20
HUMAN = "human"
# As many fit before a Whisper's text (224 tokens); with them Whisper base spells commands right: 30.2 to 7.6 % WER.
PROMPT_SENTENCES = 19
SILENT_FRAME, UNKNOWN_FRAME = "<s>", "<unk>"
SPELLING = Spelling("en")

_SHARES = (("train", 0.80), ("valid", 0.85), ("test", 1.0))
_VALID_SPEAKERS = 0.05
_FEW_SEED = 2  # another draw than that of the sides


@dataclass(frozen=True)
class AutomaticText:
    """A text by a recogniser.

    Attributes:
        text: the text, spelled.
        source: name of the recogniser.
        frames: its word or None of each frame, by aligning the sound; None = not known.
    """

    text: str
    source: str
    frames: Sequence[str | None] | None = None


@dataclass(frozen=True)
class Labels:
    """What the label streams are made of.

    Attributes:
        frames: clip id -> word or None of each frame; clips without word times are missing.
        automatic: clip id -> text by a recogniser.
    """

    frames: Mapping[str, Sequence[str | None]]
    automatic: Mapping[str, AutomaticText] = field(default_factory=dict)


def frames_of_clips(
    clips: Iterable[Utterance], times: Mapping[str, Sequence[SpokenWord]], start_s: Mapping[str, float]
) -> dict[str, list[str | None]]:
    """Return clip id -> word or None of each frame, of the clips whose word times are known.

    Args:
        clips: utterances of `grid.of_clips`.
        times: word times by SPEAKER/NAME, see `grid.word_times`.
        start_s: clip id -> start in its video, s, where it is not 0.
    """
    found = {}
    for clip in clips:
        words = times.get(f"{clip.speaker}/{name_of(clip.id)}")
        if words is not None:
            found[clip.id] = words_of_frames(words, clip.num_frames or 0, start_s=start_s.get(clip.id, 0.0))
    return found


def prompt(texts: Iterable[str], count: int = PROMPT_SENTENCES) -> str:
    """Choose sentences that have the most different words, as a text that a Whisper is given before what it hears."""
    waiting, chosen, seen = list(dict.fromkeys(texts)), list[str](), set[str]()
    while waiting and len(chosen) < count:
        best = max(waiting, key=lambda text: len(set(text.split()) - seen))
        waiting.remove(best)
        chosen.append(best)
        seen |= set(best.split())
    return f"{', '.join(text.capitalize() for text in chosen)}." if chosen else ""


def side(name: str) -> str:
    """Return the side of a sentence, by the name that spells it."""
    position = int.from_bytes(random_rank(name, 1)[:8], "big") / 2**64
    return next(side for side, end in _SHARES if position < end)


def partitions(
    clips: Sequence[Utterance], labels: Labels, *, few: Sequence[int] = (100,), note: Report
) -> Iterator[Partition]:
    """Make the partitions of the module's list.

    Args:
        clips: utterances of `grid.of_clips`, at least one.
        few: numbers of labelled clips of the small training sets.
        note: receives a line for each partition that is left out, and why.

    Raises:
        ValueError: there is no clip.
    """
    if not clips:
        raise ValueError("GRID: no clip of any video was found; see the problems above")
    yield _finished(Partition("all", [], test=list(clips)), labels, {})
    speakers = by_speaker(clips)
    families = [name for name, own in speakers.items() if len(own) >= MIN_CLIPS]
    for name in speakers:
        if name not in families:
            note(
                f"{name}: {len(speakers[name])} clips, fewer than {MIN_CLIPS}; it has no partition of its own"
            )
    if families:
        yield _unlabelled(clips if len(families) > 1 else speakers[families[0]])
    if len(families) > 1:
        yield from _family("overlapped", clips, labels, few, note)
        yield from _unseen(clips, labels, note)
    for name in families:
        yield from _family(name, speakers[name], labels, few, note)


def _unlabelled(clips: Sequence[Utterance]) -> Partition:
    """Return the clips to pre-train on, which no partition of these speakers tests."""
    sides = divide(clips, lambda u: side(name_of(u.id)))
    return Partition("ssl", sides["train"], sides["valid"], shares_speakers=True)


def _family(
    name: str, clips: Sequence[Utterance], labels: Labels, few: Sequence[int], note: Report
) -> Iterator[Partition]:
    """Yield the partition of all labels, and the small ones."""
    sides = divide(clips, lambda u: side(name_of(u.id)))
    whole = Partition(name, sides["train"], sides["valid"], sides["test"], shares_speakers=True)
    yield _finished(whole, labels, {})
    ranked = sorted(whole.train, key=lambda u: (random_rank(name_of(u.id), _FEW_SEED), u.id))
    for count in sorted(few):
        if count >= len(ranked):
            note(f"{name}_{count}: {name} has only {len(ranked)} clips to train on, so it is left out")
            continue
        chosen = {u.id for u in ranked[:count]}
        small = [u for u in whole.train if u.id in chosen]
        yield _finished(replace(whole, name=f"{name}_{count}", train=small), labels, {})
        if labels.automatic:
            yield _with_automatic(whole, f"{name}_{count}_auto", chosen, labels, note)


def _with_automatic(whole: Partition, name: str, chosen: set[str], labels: Labels, note: Report) -> Partition:
    """Return a partition whose clips that are not chosen have the texts of a recogniser."""
    train, sources, wrong = [], {}, 0
    for clip in whole.train:
        found = labels.automatic.get(clip.id)
        if clip.id in chosen:
            train.append(clip)
        elif found is not None and not is_sentence(found.text):
            wrong += 1
        elif found is not None:
            train.append(replace(clip, transcript=found.text))
            sources[clip.id] = found.source
    lost = len(whole.train) - len(train) - wrong
    note(
        f"{name}: {len(sources)} clips have automatic texts; left out: {lost} without one, {wrong} whose text is no "
        "sentence of the corpus's grammar"
    )
    return _finished(replace(whole, name=name, train=train), labels, sources)


def _unseen(clips: Sequence[Utterance], labels: Labels, note: Report) -> Iterator[Partition]:
    speakers = {u.speaker or "" for u in clips}
    test = speakers & set(UNSEEN)
    others = sorted(speakers - test, key=lambda s: random_rank(s, 1))
    if not test or len(others) < 2:
        note(
            f"unseen: one of {', '.join(UNSEEN)} and two other speakers are needed, found {sorted(speakers)}"
        )
        return
    valid = set(others[: max(1, round(_VALID_SPEAKERS * len(others)))])
    sides = divide(
        clips, lambda u: "test" if u.speaker in test else "valid" if u.speaker in valid else "train"
    )
    yield _finished(Partition("unseen", sides["train"], sides["valid"], sides["test"]), labels, {})


def _finished(partition: Partition, labels: Labels, sources: Mapping[str, str]) -> Partition:
    """Add the streams and dictionaries; `sources` names who wrote texts that are not people's."""
    streams: dict[str, Callable[[Utterance], str]] = {
        "wrd": lambda u: u.transcript or "",
        "words": lambda u: " ".join(_word_units(u)),
        "ltr": lambda u: " ".join(to_characters(u.transcript or "")),
        "wordframes": lambda u: _frame_line(_frames(u.id, labels, sources)),
        "label_source": lambda u: sources.get(u.id, HUMAN),
    }
    letters = sorted({letter for word in WORDS for letter in word})
    dictionaries = {
        "words": _counted((f"{WORD_START}{word}" for word in WORDS), map(_word_units, partition.train)),
        "ltr": _counted(("|", *letters), (to_characters(u.transcript or "") for u in partition.train)),
    }
    return replace(partition, labels=streams, dictionaries=dictionaries, spelling=SPELLING)


def _frames(clip_id: str, labels: Labels, sources: Mapping[str, str]) -> Sequence[str | None] | None:
    """Return the word of each frame of a clip; of one with an automatic text never the published times."""
    return labels.automatic[clip_id].frames if clip_id in sources else labels.frames.get(clip_id)


def _word_units(utterance: Utterance) -> list[str]:
    return [f"{WORD_START}{word}" for word in (utterance.transcript or "").split()]


def _frame_line(frames: Sequence[str | None] | None) -> str:
    """Return the line of `wordframes`, empty where the times are not known."""
    if frames is None:
        return ""
    return " ".join(map(_frame_unit, frames))


def _frame_unit(word: str | None) -> str:
    """Return the unit of a word; of one that the corpus lacks, which a recogniser may write, fairseq's unknown one."""
    if word is None:
        return SILENT_FRAME
    return f"{WORD_START}{word}" if word in WORDS else UNKNOWN_FRAME


def _counted(symbols: Iterable[str], rows: Iterable[Iterable[str]]) -> dict[str, int]:
    counts = Counter(unit for row in rows for unit in row)
    return {symbol: counts[symbol] for symbol in symbols}
