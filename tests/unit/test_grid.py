"""GRID: any depth of folders, word times, clips of mouths, partitions, the command."""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from fairseq_ext.commands import prepare_grid
from fairseq_ext.corpora import grid
from fairseq_ext.corpora.grid_partitions import (
    AutomaticText,
    Labels,
    frames_of_clips,
    partitions,
    side,
)
from fairseq_ext.corpora.partitions import Partition
from fairseq_ext.dictionary import read_dictionary
from fairseq_ext.labelling.table import ClipLabel, write_labels
from fairseq_ext.manifest import Utterance, read_labels, read_manifest
from fairseq_ext.media.mouth.table import ClipRow, write_clips_table

REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
TIMES = (
    "0 23750 sil\n23750 29500 bin\n29500 34000 blue\n34000 35500 at\n35500 41000 f\n41000 47250 two\n"
    "47250 53000 now\n53000 74500 sil\n"
)
HEARD = "lay blue at f two now"  # by a recogniser
NAMES = ["".join(letters) for letters in product("blps", "bgrw", "abiw", "f", "2", "anps")]  # 256


def write_corpus(root: Path, files: Sequence[str]) -> Path:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(TIMES if name.endswith(".align") else "", encoding="utf-8")
    return root


def read(root: Path) -> tuple[list[Utterance], list[str]]:
    problems: list[str] = []
    return list(grid.read(root, on_problem=problems.append)), problems


def test_names_spell_sentences() -> None:
    assert grid.sentence("bbaf2n") == "bin blue at f two now"
    assert grid.sentence("swwzzp") == "set white with z zero please"
    assert len(grid.WORDS) == 51
    for wrong in ("bbaw2n", "bbaf2", "bbaf2nn", "xbaf2n", "bbafan", ""):
        with pytest.raises(ValueError, match="a name such as bbaf2n expected"):
            grid.sentence(wrong)


@pytest.mark.parametrize(
    "folder", ["s1", "s1/video", "grid-s1/video/mpg_6000", "data/grid_s1/video", "video/s1"]
)
def test_speaker_is_the_nearest_folder_named_after_one(tmp_path: Path, folder: str) -> None:
    (found,), problems = read(write_corpus(tmp_path, [f"{folder}/bbaf2n.mpg"]))
    assert (found.id, found.speaker, found.gender, found.language) == ("s1/bbaf2n", "s1", "male", "en")
    assert found.transcript == "bin blue at f two now"
    assert found.path == f"{folder}/bbaf2n.mpg"
    assert problems == []


def test_a_link_of_another_name_leads_to_the_speaker(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "grid_s7", ["video/bbaf2n.mpg", "align/bbaf2n.align"])
    link = tmp_path / "corpus.link"
    link.symlink_to(corpus)
    (found,), problems = read(link)
    assert (found.id, problems) == ("s7/bbaf2n", [])
    assert list(grid.word_times(link)) == ["s7/bbaf2n"]


def test_what_is_no_video_of_the_corpus_is_named(tmp_path: Path) -> None:
    root = write_corpus(
        tmp_path / "x",
        ["s4/bbaf2n.mpg", "s4/copy/bbaf2n.mp4", "s4/intro.mpg", "lost/lbaf2n.mp4", "s35/lbaf3n.mp4"],
    )
    found, problems = read(root)
    assert [(u.id, u.gender) for u in found] == [
        ("unknown/lbaf2n", None), ("unknown/lbaf3n", None), ("s4/bbaf2n", "female")
    ]  # fmt: skip
    assert any("copy/bbaf2n.mp4: s4/bbaf2n occurs twice; skipped" in problem for problem in problems)
    assert any("intro.mpg: intro: a name such as bbaf2n expected" in problem for problem in problems)
    assert any("2 videos are in no folder that is named after a speaker" in problem for problem in problems)
    with pytest.raises(FileNotFoundError, match=r"no \.mpg or \.mp4"):
        read(tmp_path / "x" / "s4" / "none")


def test_word_times_are_those_of_the_middles_of_frames(tmp_path: Path) -> None:
    root = write_corpus(tmp_path, ["s1/align/bbaf2n.align"])
    words = grid.word_times(root, on_problem=pytest.fail)["s1/bbaf2n"]
    assert (words[1].text, words[1].start_s, words[1].end_s) == ("bin", 0.95, 1.18)
    frames = grid.words_of_frames(words, 75)
    # Middles of frames 24 to 28 lie in 23.75 to 29.5; a middle on the border belongs to the later word.
    runs = [(24, None), (5, "bin"), (5, "blue"), (1, "at"), (6, "f"), (6, "two"), (6, "now"), (22, None)]
    assert frames == [word for count, word in runs for _ in range(count)]
    assert grid.words_of_frames(words, 75, start_s=0.96)[:5] == ["bin"] * 5
    assert grid.words_of_frames(words, 26) == [None] * 24 + ["bin"] * 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bin", "lay", "the words 'bin blue at f two now' expected, found 'lay blue at f two now'"),
        ("23750 29500", "23750 x", "line 2: start, end and word expected"),
        ("29500 34000", "29000 34000", "line 3: the times go back"),
        ("29500 34000", "29500 29000", "line 3: the times go back"),
    ],
)
def test_damaged_word_times_are_left_out(tmp_path: Path, old: str, new: str, message: str) -> None:
    root = write_corpus(tmp_path, ["s1/bbaf2n.align", "s1/bbbf2n.align"])
    for name, at in (("bbaf2n", "at"), ("bbbf2n", "by")):
        text = TIMES.replace("at\n", f"{at}\n")
        (root / "s1" / f"{name}.align").write_text(text.replace(old, new) if at == "at" else text)
    problems: list[str] = []
    assert list(grid.word_times(root, on_problem=problems.append)) == ["s1/bbbf2n"]
    assert message in problems[0]


def clip(name: str, speaker: str = "s1") -> Utterance:
    text = grid.sentence(grid.name_of(name))
    return Utterance(name, f"audio/{name}.wav", 48000, 75, text, speaker, "en")


def test_clips_take_speaker_and_sentence_of_their_videos(tmp_path: Path) -> None:
    corpus, _ = read(write_corpus(tmp_path, ["s1/bbaf2n.mpg", "s2/bbaf2n.mpg", "s2/lbaf2n.mpg"]))
    problems: list[str] = []
    wanted = [Utterance(name, "p", 7, 3) for name in ("s2/bbaf2n", "lbaf2n", "bbaf2n", "pbaf2n")]
    found = list(grid.of_clips(corpus, wanted, on_problem=problems.append))
    assert [(u.id, u.speaker, u.num_samples, u.num_frames) for u in found] == [
        ("s2/bbaf2n", "s2", 7, 3),
        ("lbaf2n", "s2", 7, 3),
    ]
    assert "clip bbaf2n: one video of this name expected, found 2" in problems[0]
    assert "clip pbaf2n: one video of this name expected, found 0" in problems[1]


def test_sides_follow_from_the_name_alone() -> None:
    shares = [sum(side(name) == of for name in NAMES) / len(NAMES) for of in ("train", "valid", "test")]
    assert shares == pytest.approx([0.8, 0.05, 0.15], abs=0.05)
    assert [side(name) for name in ("bbaf2n", "bbaf3s", "bbaf4p")] == ["train", "train", "train"]


def made(clips: Sequence[Utterance], labels: Labels | None = None) -> tuple[dict[str, Partition], list[str]]:
    notes: list[str] = []
    found = partitions(clips, labels or Labels({}), few=(100, 500), note=notes.append)
    return {partition.name: partition for partition in found}, notes


def test_one_speaker_alone_and_few_labels() -> None:
    found, notes = made([clip(name) for name in NAMES])
    assert list(found) == ["all", "ssl", "s1", "s1_100"]
    whole, few, unlabelled = found["s1"], found["s1_100"], found["ssl"]
    assert (unlabelled.train, unlabelled.valid, unlabelled.test) == (whole.train, whole.valid, [])
    assert not unlabelled.labels
    assert {u.id for u in few.train} < {u.id for u in whole.train}
    assert len(few.train) == 100
    assert (few.valid, few.test) == (whole.valid, whole.test)
    assert sum(map(len, whole.sides.values())) == len(found["all"].test) == 256
    assert any("s1_500: s1 has only" in note for note in notes)
    shuffled, _ = made([clip(name) for name in reversed(NAMES)])
    assert {u.id for u in shuffled["s1_100"].train} == {u.id for u in few.train}


def test_several_speakers() -> None:
    speakers = ("s1", "s3", "s5", "s7")
    clips = [clip(f"{s}/{name}", s) for s in speakers for name in NAMES[::4]] + [clip("bbaf2n", "unknown")]
    found, notes = made(clips)
    assert {"overlapped", "unseen", *speakers} <= found.keys()
    unseen, overlapped = found["unseen"], found["overlapped"]
    assert {u.speaker for u in unseen.test} == {"s1"}
    assert not unseen.shares_speakers
    names = [{grid.name_of(u.id) for u in own} for own in overlapped.sides.values()]
    assert not names[0] & (names[1] | names[2])
    assert any("unknown: 1 clips, fewer than 20" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bin blue at f two now", True),
        ("set white with z zero again", True),
        ("bin blue at two now", False),  # a letter that was not heard
        ("been blue at f two now", False),
        ("bin blue at w two now", False),  # the corpus has no w
        ("blue bin at f two now", False),
        ("bin blue at f two now soon", False),
        ("", False),
    ],
)
def test_sentences_of_the_grammar(text: str, expected: bool) -> None:
    assert grid.is_sentence(text) == expected
    assert all(grid.is_sentence(grid.sentence(name)) for name in NAMES[:5])


def test_automatic_texts_take_the_place_of_peoples() -> None:
    clips = [clip(name) for name in NAMES]
    words = (grid.SpokenWord("bin", 0.0, 3.0),)
    frames = frames_of_clips(clips, {f"s1/{name}": words for name in NAMES}, {})
    automatic = {name: AutomaticText(HEARD, "whisper") for name in NAMES if name[0] in "lp"}
    automatic |= {name: AutomaticText("lay blue", "whisper") for name in NAMES if name[0] == "s"}
    found, notes = made(clips, Labels(frames, automatic))
    part = found["s1_100_auto"]
    people = {u.id for u in found["s1_100"].train}
    for utterance in part.train:
        by_people = utterance.id in people
        assert by_people or utterance.id[0] in "lp"
        assert part.labels["wrd"](utterance) == (grid.sentence(utterance.id) if by_people else HEARD)
        assert part.labels["label_source"](utterance) == ("human" if by_people else "whisper")
        assert part.labels["wordframes"](utterance) == ("▁bin " * 75 if by_people else "").strip()
    times = [None, "been", "blue"]
    aligned = {name: replace(text, frames=times) for name, text in automatic.items()}
    found_too, _ = made(clips, Labels(frames, aligned))
    lines = {found_too["s1_100_auto"].labels["wordframes"](u) for u in part.train if u.id not in people}
    assert lines == {"<s> <unk> ▁blue"}  # a word that the corpus lacks is an unknown one
    left = {u.id for u in found["s1"].train} - {u.id for u in part.train}
    wrong = sum(name[0] == "s" for name in left)
    assert any(
        f"{len(left) - wrong} without one, {wrong} whose text is no sentence" in note for note in notes
    )
    assert 0 < wrong < len(left)
    assert (part.valid, part.test) == (found["s1"].valid, found["s1"].test)


@pytest.fixture
def prepared(tmp_path: Path) -> list[str]:
    """Write a corpus and its clips, one of them without word times; return the options of the command."""
    root = write_corpus(tmp_path / "grid", [f"s3/video/{name}.mpg" for name in NAMES[:40]])
    for name in NAMES[1:40]:
        text = TIMES
        for old, new in zip("bin blue at f two now".split(), grid.sentence(name).split(), strict=True):
            text = text.replace(f" {old}\n", f" {new}\n")
        (root / f"s3/{name}.align").write_text(text, encoding="utf-8")
    rows = [ClipRow(f"video/{name}", f"{name}.mpg", num_frames=75, num_samples=48000) for name in NAMES[:40]]
    rows.append(replace(rows[0], id="other"))
    (tmp_path / "clips").mkdir()
    write_clips_table(tmp_path / "clips", rows)
    return [f"--corpus={root}", f"--clips={tmp_path / 'clips'}", f"--out={tmp_path / 'out'}", "--few", "5"]


def test_command_writes_every_stream(
    prepared: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    prepare_grid.add_arguments(parser)
    assert prepare_grid.run(parser.parse_args(prepared)) == 0
    said = capsys.readouterr().out
    assert "40 clips of 40 videos, 1 of them without word times; 1 clips belong to no video" in said
    assert "1 problems" in said
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "all",
        "problems.txt",
        "s3",
        "s3_5",
        "s3_5.prompts.tsv",
        "ssl",
    ]
    language, _, text = (out / "s3_5.prompts.tsv").read_text(encoding="utf-8").rstrip().partition("\t")
    few = {u.transcript for u in read_manifest(out / "s3_5", "train")}
    assert language == "en"
    assert {sentence.lower() for sentence in text.rstrip(".").split(", ")} == few
    (first, *_), folder = list(read_manifest(out / "s3", "train")), out / "s3"
    assert (first.path, first.num_frames, first.speaker) == (f"audio/{first.id}.wav", 75, "s3")
    rows = {
        u.id: line
        for u, line in zip(
            read_manifest(folder, "train"), read_labels(folder, "train", "wordframes"), strict=True
        )
    }
    assert [name for name, line in rows.items() if not line] == [f"video/{NAMES[0]}"]
    assert {len(line.split()) for line in rows.values() if line} == {75}
    assert rows[f"video/{NAMES[1]}"].split()[24:29] == ["▁bin"] * 5
    assert len(read_dictionary(folder / "dict.words.txt")) == 51
    assert next(read_labels(folder, "train", "words")).split()[0] == "▁bin"
    assert next(read_labels(out / "all", "test", "ltr")).startswith("b i n | b l u e |")


def test_command_takes_texts_of_a_recogniser(
    prepared: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        ClipLabel(
            id=f"video/{name}",
            video=name,
            state="labelled",
            language="en",
            language_probability=0.9,
            languages="en:0.9",
            text="Bin blue at F2, now." if number else "3.1 _ #",
            avg_logprob=-0.1 if number % 2 == 0 else -9.0,
            no_speech_prob=0.0,
            compression_ratio=1.0,
            loop_score=0.0,
            characters_per_second=10.0,
            duration_s=3.0,
            speech_s=2.0,
            model="whisper",
        )
        for number, name in enumerate(NAMES[:40])
    ]
    (tmp_path / "labels").mkdir()
    write_labels(tmp_path / "labels" / "labels.tsv", rows)
    parser = argparse.ArgumentParser()
    prepare_grid.add_arguments(parser)
    assert prepare_grid.run(parser.parse_args([*prepared, "--labels", str(tmp_path / "labels")])) == 0
    said = capsys.readouterr().out
    assert "of 41 clips have an automatic text" in said
    assert "unlikely                 20" in said
    folder = tmp_path / "out" / "s3_5_auto"
    pairs = zip(
        read_labels(folder, "train", "label_source"), read_labels(folder, "train", "wrd"), strict=True
    )
    texts = {text for source, text in pairs if source == "whisper"}
    assert texts == {"bin blue at f two now"}


def test_times_of_texts_need_texts(prepared: list[str]) -> None:
    parser = argparse.ArgumentParser()
    prepare_grid.add_arguments(parser)
    with pytest.raises(argparse.ArgumentError, match="--align gives times to the texts of --labels"):
        prepare_grid.run(parser.parse_args([*prepared, "--align", "base"]))


@pytest.mark.skipif(not (REAL / "grid_s1").is_dir(), reason=f"no {REAL / 'grid_s1'}")
def test_real_speaker() -> None:
    found, problems = read(REAL / "grid_s1")
    times = grid.word_times(REAL / "grid_s1", on_problem=problems.append)
    assert problems == []
    assert len(found) == 999
    assert len(times) == 1000
    assert {u.id for u in found} < times.keys()
    counts = Counter(side(grid.name_of(u.id)) for u in found)
    assert counts == {"train": 801, "valid": 44, "test": 154}
