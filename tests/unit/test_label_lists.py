"""Published label lists: three formats, byte-equal round trips, and that no machine's label is scored against."""

import itertools
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from fairseq_ext.corpora import label_lists
from fairseq_ext.corpora.label_lists import Label, apply_labels, find_kind, read_list, write_list
from fairseq_ext.manifest import Utterance

# Rows as published; a dash that was left out leaves two spaces.
LISTS = {
    "mtedx": (
        "0u7tTptBo9I_0004\t42.91\t45.26\tet pourtant on vient tous de locéan\n"
        "-dJ3_mboZJQ_0011\t89.54\t96.23\tla même préoccupation  comment motiver\n"
        "KvBXn35Wr7U_0048.mp4\t263.09\t267.80\tnon è possibile\n"
    ),
    "voxceleb2": (
        "dev/mp4/id08977/3ap0QSyN6Vc/00008.mp4\tla storia d'italia molto più di tanti saggi\n"
        "test/mp4/id03127/mcAK-RlInLY/00295.mp4\tli 4 vezes… 😂 100%\n"
    ),
    "avspeech": (
        "enSzPLXxw8I_115.715600_119.986533.mp4\tle rat nommera les tortues raphaël\n"
        "-_x_0abcdEF_206.200000_210.000000.mp4\tсубтитры\n"
    ),
}
IDS = {
    "mtedx": ["fr/train/0u7tTptBo9I_0004", "fr/train/-dJ3_mboZJQ_0011", "fr/train/KvBXn35Wr7U_0048"],
    "voxceleb2": ["id08977/3ap0QSyN6Vc/00008", "id03127/mcAK-RlInLY/00295"],
    "avspeech": ["enSzPLXxw8I_115.715600_119.986533", "-_x_0abcdEF_206.200000_210.000000"],
}
SPEAKERS = {
    "mtedx": ["0u7tTptBo9I", "-dJ3_mboZJQ", "KvBXn35Wr7U"],
    "voxceleb2": ["id08977", "id03127"],
    "avspeech": ["enSzPLXxw8I", "-_x_0abcdEF"],
}


def write(folder: Path, text: str) -> Path:
    path = folder / "list.txt"
    path.write_bytes(text.encode())
    return path


def read(path: Path, **settings: object) -> tuple[list[Label], list[str]]:
    problems: list[str] = []
    chosen = {"split": "train", "language": "fr", **settings}
    return list(read_list(path, on_problem=problems.append, **chosen)), problems  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", label_lists.KINDS)
def test_a_list_as_published_comes_back_byte_by_byte(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, LISTS[kind])
    assert find_kind(path) == kind
    labels, problems = read(path)
    assert problems == []
    assert [label.id for label in labels] == IDS[kind]
    assert [label.text for label in labels] == [line.split("\t")[-1] for line in LISTS[kind].splitlines()]
    assert [label.speaker for label in labels] == SPEAKERS[kind]
    assert write_list(tmp_path / "out.txt", labels, kind) == len(labels)
    assert (tmp_path / "out.txt").read_bytes() == path.read_bytes()


def test_times_and_spaces(tmp_path: Path) -> None:
    labels, _ = read(write(tmp_path, LISTS["mtedx"]))
    assert (labels[0].start_s, labels[0].end_s) == (42.91, 45.26)
    assert labels[1].text == "la même préoccupation  comment motiver"
    fine = Label("fr/train/a_1", 1.0, 2.3456, "x", "a_1", "a")
    write_list(tmp_path / "out.txt", [fine], "mtedx")
    assert (tmp_path / "out.txt").read_text() == "a_1\t1.00\t2.3456\tx\n"
    assert read(tmp_path / "out.txt")[0] == [fine]


@pytest.mark.parametrize(
    ("kind", "split"), list(itertools.product(sorted(label_lists.AUTOMATIC), ["valid", "test"]))
)
def test_automatic_labels_never_enter_valid_or_test(tmp_path: Path, kind: str, split: str) -> None:
    path = write(tmp_path, LISTS[kind])
    with pytest.raises(ValueError, match=f"of {kind} for {split}: its labels are automatic"):
        read(path, split=split)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_transcripts_by_people_may(tmp_path: Path, split: str) -> None:
    labels, _ = read(write(tmp_path, LISTS["mtedx"]), split=split)
    assert labels[0].id == f"fr/{split}/0u7tTptBo9I_0004"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"split": "dev"}, "split 'dev': choose one of"),
        ({"kind": "lrs3"}, "format 'lrs3'"),
        ({"language": None}, r"the language of the talks is not known; .* \(--language fr\)"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(write(tmp_path, LISTS["mtedx"]), **settings)


@pytest.mark.parametrize("text", ["", "fr/train/a_1\thello\n", "a_1\t1.0\thello\n", '{"id": 1}\n'])
def test_a_file_of_no_format(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"list\.txt:1: '.*' is no row of mtedx, voxceleb2, avspeech"):
        find_kind(write(tmp_path, text))


@pytest.mark.parametrize(
    ("kind", "row", "said"),
    [
        ("mtedx", "a_1\t2.00\t2.00\tx", "a later end"),
        ("mtedx", "a_1\t3.00\t2.00\tx", "a later end"),
        ("mtedx", "a_1\tnan\t2.00\tx", "a later end"),
        ("mtedx", "a_1\t1.00\t2.00\t ", "a_1 has no text"),
        ("mtedx", "a_1\t1.00\t2.00", "4 columns"),
        ("mtedx", "../a_1\t1.00\t2.00\tx", "4 columns"),
        ("mtedx", "0u7tTptBo9I_0004.mp4\t42.91\t45.26\tx", "first on line 1"),
        ("voxceleb2", "test/mp4/id08977/3ap0QSyN6Vc/00008.mp4\tx", "first on line 1"),
        ("voxceleb2", "dev/mp4/id08977/3ap0QSyN6Vc/00009.mp4\t", "has no text"),
        ("voxceleb2", "id08977/3ap0QSyN6Vc/00009.mp4\tx", "2 columns"),
        ("avspeech", "enSzPLXxw8I_115.7_119.9.mp4\tx", "2 columns"),
        ("avspeech", "", "2 columns"),
    ],
)
def test_a_bad_row_is_named_and_skipped(tmp_path: Path, kind: str, row: str, said: str) -> None:
    lines = LISTS[kind].splitlines()
    path = write(tmp_path, "\n".join([lines[0], row, *lines[1:]]) + "\n")
    labels, problems = read(path)
    assert [label.id for label in labels] == IDS[kind]
    assert len(problems) == 1
    assert said in problems[0]
    assert f"{path}:2: " in problems[0]


def test_lists_from_other_hands(tmp_path: Path) -> None:
    """Windows line ends, a byte-order mark, blanks after the name, decomposed accents: read, and then clean."""
    text = unicodedata.normalize("NFD", LISTS["voxceleb2"])
    path = write(tmp_path, "\ufeff" + text.replace("\n", "\r\n").replace(".mp4\t", ".mp4 \t"))
    labels, problems = read(path)
    assert problems == []
    assert labels[0].text == unicodedata.normalize("NFD", "la storia d'italia molto più di tanti saggi")
    write_list(tmp_path / "out.txt", labels, "voxceleb2")
    assert (tmp_path / "out.txt").read_bytes() == text.encode()


@pytest.mark.parametrize("text", ["", "two\nlines", "a\ttab"])
def test_a_text_that_no_row_can_hold_changes_no_file(tmp_path: Path, text: str) -> None:
    good = Label("id08977/3ap0QSyN6Vc/00008", None, None, "x", "dev/mp4/id08977/3ap0QSyN6Vc/00008.mp4")
    bad = Label("id08977/3ap0QSyN6Vc/00009", None, None, text, "dev/mp4/id08977/3ap0QSyN6Vc/00009.mp4")
    with pytest.raises(ValueError, match=r"has no text|is not one line|is not 2 columns"):
        write_list(tmp_path / "out.txt", [good, bad], "voxceleb2")
    assert list(tmp_path.iterdir()) == []


def test_labels_choose_clips_and_give_them_texts(tmp_path: Path) -> None:
    labels, _ = read(write(tmp_path, LISTS["voxceleb2"]))
    clips = [
        Utterance(name, f"audio/{name}.wav", 16000, 25, split="test")
        for name in ["id00001/aaaaaaaaaaa/00001", IDS["voxceleb2"][1]]
    ]
    problems: list[str] = []
    found = list(apply_labels(clips, labels, split="train", language="pt", on_problem=problems.append))
    assert found == [
        Utterance(
            IDS["voxceleb2"][1],
            f"audio/{IDS['voxceleb2'][1]}.wav",
            16000,
            25,
            transcript="li 4 vezes… 😂 100%",
            speaker="id03127",
            language="pt",
            split="train",
        )
    ]
    again = apply_labels([replace(found[0], speaker="s", language="es")], labels, split="train")
    assert [(u.speaker, u.language) for u in again] == [("s", "es")]
    assert len(problems) == 1
    assert f"the clips of 1 of 2 labels are missing, the first {IDS['voxceleb2'][0]}" in problems[0]
