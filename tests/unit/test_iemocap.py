"""IEMOCAP: the published layout, four classes, counts by session."""

from collections import Counter
from pathlib import Path

import pytest
from emotion_trees import by_name, write_iemocap

from fairseq_ext.corpora import iemocap
from fairseq_ext.manifest import Utterance
from fairseq_ext.media.content import content_of


def read(root: Path) -> tuple[list[Utterance], list[str]]:
    problems: list[str] = []
    found = list(iemocap.read(root, measure=content_of, on_problem=problems.append))
    return found, [line for line in problems if "turns expected" not in line]


def test_turns_classes_and_texts(tmp_path: Path) -> None:
    found, problems = read(write_iemocap(tmp_path))
    assert problems == [
        f"{tmp_path}: frustrated: none of the four classes; its 12 turns are left out",
        f"{tmp_path}: no_majority: none of the four classes; its 12 turns are left out",
    ]
    assert Counter(u.emotion for u in found) == {"neutral": 12, "happy": 12, "angry": 12}
    first = found[0]
    assert first.id == "Ses01F_impro01_F000"
    assert first.path == "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    assert (first.speaker, first.gender, first.transcript) == ("Ses01_F", "female", "Excuse me 5000.")
    assert len({u.speaker for u in found}) == 6
    streams = iemocap.streams(tmp_path)
    assert Counter(map(streams["category"], found)) == {"neutral": 12, "excited": 12, "angry": 12}
    assert Counter(map(streams["scenario"], found)) == {"improvised": 18, "scripted": 18}
    assert Counter(map(streams["session"], found)) == dict.fromkeys(("Session1", "Session2", "Session3"), 12)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "IEMOCAP_full_release").symlink_to(tmp_path)
    assert iemocap.recordings_folder(tmp_path / "x").name == "IEMOCAP_full_release"


def test_the_speaker_is_not_who_wears_the_markers(tmp_path: Path) -> None:
    found, _ = read(write_iemocap(tmp_path, sessions=(2,)))
    of_scripted = {u.id[-4]: (u.speaker, u.gender) for u in found if u.id.startswith("Ses02M_script01_1")}
    assert of_scripted == {"F": ("Ses02_F", "female"), "M": ("Ses02_M", "male")}


def test_the_whole_corpus_has_the_published_counts(tmp_path: Path) -> None:
    by_session = {
        1: {"ang": 229, "exc": 143, "hap": 135, "sad": 194, "neu": 384, "xxx": 734},
        2: {"ang": 137, "exc": 210, "hap": 117, "sad": 197, "neu": 362, "xxx": 788},
        3: {"ang": 240, "exc": 151, "hap": 135, "sad": 305, "neu": 320, "xxx": 985},
        4: {"ang": 327, "exc": 238, "hap": 65, "sad": 143, "neu": 258, "xxx": 1072},
        5: {"ang": 170, "exc": 299, "hap": 143, "sad": 245, "neu": 384, "xxx": 929},
    }
    for session, counts in by_session.items():
        folder = tmp_path / f"Session{session}" / "dialog" / "EmoEvaluation"
        folder.mkdir(parents=True)
        categories = [category for category, count in counts.items() for _ in range(count)]
        lines = [
            f"[1.0 - 2.0]\tSes{session:02d}F_impro01_{'FM'[i % 2]}{i:04d}\t{category}\t[2.5, 2.5, 2.5]\r"
            for i, category in enumerate(categories)
        ]
        (folder / f"Ses{session:02d}F_impro01.txt").write_text("\n".join(lines), encoding="utf-8")
    problems: list[str] = []
    found = list(iemocap.read(tmp_path, measure=by_name, on_problem=problems.append))
    assert len(found) == 5531
    assert Counter(u.emotion for u in found) == {"neutral": 1708, "happy": 1636, "angry": 1103, "sad": 1084}
    assert problems == [f"{tmp_path}: no_majority: none of the four classes; its 4508 turns are left out"]


def test_an_incomplete_session_is_named(tmp_path: Path) -> None:
    problems: list[str] = []
    list(iemocap.read(write_iemocap(tmp_path), measure=content_of, on_problem=problems.append))
    assert f"{tmp_path / 'Session1'}: 1085 turns expected, found 12" in problems
    assert f"{tmp_path / 'Session5'}: 1241 turns expected, found 0" in problems


def test_damage_is_named_and_skipped(tmp_path: Path) -> None:
    root = write_iemocap(tmp_path, sessions=(1,), categories=("neu", "ang", "sad"))
    evaluation = root / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    wavs = root / "Session1" / "sentences" / "wav" / "Ses01F_impro01"
    text = evaluation.read_text(encoding="utf-8")
    text = text.replace("F000\tneu", "F000\tjoy").replace("\tSes01F_impro01_M000", "\tSes01F_impro01_X000")
    text += "[9.0 - 9.5]\tSes01F_impro01_F001\tsad\t[1, 1, 1]\n"
    evaluation.write_text(text, encoding="utf-8")
    (wavs / "Ses01F_impro01_M002.wav").unlink()
    found, problems = read(root)
    assert len(found) == 9
    named = "\n".join(problems)
    assert "Ses01F_impro01.txt:3: Ses01F_impro01_F000: one of ang, hap" in named
    assert "[start - end], turn, category and [v, a, d] expected; skipped" in named
    assert "Ses01F_impro01_F001 occurs twice; the first counts" in named
    assert "Ses01F_impro01_M002.wav: no such audio file" in named
    assert "Ses01F_impro01_M000.wav: no line of an evaluation names it; skipped" in named
    assert len(problems) == 6


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="pass the folder that holds Session1 to Session5"):
        iemocap.recordings_folder(tmp_path)
