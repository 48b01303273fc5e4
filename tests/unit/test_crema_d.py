"""CREMA-D: the published layout, its tables, whatever does not belong."""

import re
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile
from emotion_trees import by_name, write_crema_d, write_recording

from fairseq_ext.corpora import crema_d
from fairseq_ext.manifest import Utterance
from fairseq_ext.media.content import content_of


def read(root: Path) -> tuple[list[Utterance], list[str]]:
    problems: list[str] = []
    found = list(crema_d.read(root, measure=content_of, on_problem=problems.append))
    return found, [
        line for line in problems if not re.search(r"\d+ (actors|recordings) expected, found", line)
    ]


def test_names_and_tables(tmp_path: Path) -> None:
    found, problems = read(write_crema_d(tmp_path))
    assert not problems
    assert [u.id for u in found][:2] == ["1001_DFA_ANG_XX", "1001_DFA_NEU_XX"]
    first = found[0]
    assert (first.speaker, first.gender, first.emotion) == ("1001", "male", "anger")
    assert first.transcript == "Don't forget a jacket"
    assert first.path == "1001_DFA_ANG_XX.wav"
    assert {u.gender for u in found if u.speaker == "1002"} == {"female"}
    streams = crema_d.streams(tmp_path)
    labels = {name: key(first) for name, key in streams.items()}
    assert labels == {
        "sentence": "DFA", "intensity": "unspecified", "age": "21", "race": "African_American", "voice_vote": "",
    }  # fmt: skip
    assert streams["voice_vote"](found[1]) == "neutral"
    assert crema_d.recordings_folder(tmp_path / "AudioWAV") == crema_d.recordings_folder(tmp_path)


def test_the_whole_corpus_has_the_published_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_crema_d(tmp_path)
    counts: Counter[str] = Counter()
    paths = []
    for actor, sentence in product(range(1001, 1092), crema_d.SENTENCES):
        for code, emotion in crema_d.EMOTIONS.items():
            for level in ("LO", "MD", "HI") if sentence == "IEO" and code != "NEU" else ("XX",):
                if counts[emotion] < crema_d.PUBLISHED[emotion]:
                    counts[emotion] += 1
                    paths.append(f"{actor}_{sentence}_{code}_{level}.wav")
    monkeypatch.setattr(crema_d, "files_below", lambda folder: paths)
    problems: list[str] = []
    found = list(crema_d.read(tmp_path, measure=by_name, on_problem=problems.append))
    assert len(found) == 7442
    assert {line.partition(": ")[2] for line in problems} == {
        f"actor {actor}: no gender in VideoDemographics.csv" for actor in range(1005, 1092)
    }


def test_counts_that_differ_are_named(tmp_path: Path) -> None:
    problems: list[str] = []
    list(crema_d.read(write_crema_d(tmp_path), measure=content_of, on_problem=problems.append))
    assert f"{tmp_path / 'AudioWAV'}: 91 actors expected, found 4" in problems
    assert f"{tmp_path / 'AudioWAV'}: neutral: 1087 recordings expected, found 8" in problems


def test_the_silent_recording_is_found_by_content(tmp_path: Path) -> None:
    root = write_crema_d(tmp_path)
    silent = root / "AudioWAV" / "1003_IOM_SAD_XX.wav"
    soundfile.write(silent, np.zeros(16000), 16000)
    write_recording(root / "AudioWAV" / "1076_MTI_SAD_XX.wav", 3)
    found, problems = read(root)
    assert problems[-1] == f"{silent}: it is silent (peak below -60 dB of full scale); skipped"
    assert "1076_MTI_SAD_XX" in {u.id for u in found}
    assert len(found) == 24


def test_a_name_that_lacks_a_letter_is_read_and_reported(tmp_path: Path) -> None:
    root = write_crema_d(tmp_path)
    (root / "AudioWAV" / "1001_DFA_ANG_XX.wav").rename(root / "AudioWAV" / "1001_DFA_ANG_X.wav")
    found, problems = read(root)
    assert problems == [
        f"{root}/AudioWAV/1001_DFA_ANG_X.wav: its name lacks a letter; read as 1001_DFA_ANG_XX"
    ]
    assert [u.path for u in found if u.id == "1001_DFA_ANG_XX"] == ["1001_DFA_ANG_X.wav"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("1001_XYZ_ANG_XX.wav", "the sentence DFA, IEO"),
        ("1001_DFA_JOY_XX.wav", "the emotion ANG, DIS"),
        ("1001_DFA_ANG_YY.wav", "the intensity LO, MD"),
        ("readme.txt", "its name is not of the form 1001_DFA_ANG_XX.wav"),
    ],
)
def test_what_does_not_belong_is_named_and_skipped(tmp_path: Path, name: str, reason: str) -> None:
    root = write_crema_d(tmp_path)
    write_recording(root / "x.wav", 99)
    (root / "x.wav").rename(root / "AudioWAV" / name)
    found, problems = read(root)
    assert len(found) == 24
    assert len(problems) == 1
    assert problems[0].startswith(f"{root / 'AudioWAV' / name}: {reason}")


def test_missing_and_damaged_tables(tmp_path: Path) -> None:
    found, problems = read(write_crema_d(tmp_path / "a", tables=False))
    assert {u.gender for u in found} == {None}
    assert problems == [
        f"{tmp_path / 'a' / table}: it is missing; what it says is not known"
        for table in ("VideoDemographics.csv", "processedResults/summaryTable.csv")
    ]
    assert set(crema_d.streams(tmp_path / "a")) == {"sentence", "intensity"}
    root = write_crema_d(tmp_path / "b")
    (root / "VideoDemographics.csv").write_text(
        '"ActorID","Age","Sex","Race"\n1001,51,"?","x"\n1002,1\n', "utf-8"
    )
    _, problems = read(root)
    assert (
        f"{root}/VideoDemographics.csv:2: actor 1001: the sex Male or Female expected, found '?'" in problems
    )
    assert f"{root}/VideoDemographics.csv:3: 4 cells expected; skipped" in problems
    assert sum("no gender in VideoDemographics.csv" in line for line in problems) == 4
    (root / "VideoDemographics.csv").write_text("ActorID,Age\n", "utf-8")
    with pytest.raises(ValueError, match=r"VideoDemographics\.csv:1: the column Sex expected"):
        read(root)
