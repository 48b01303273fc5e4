"""Preflight of classes in several streams side by side: what may be empty, and what may not."""

import wave
from dataclasses import replace
from pathlib import Path

import pytest
from unit.preflight.folder import find

from fairseq_ext import preflight
from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.manifest import Utterance, write_manifest

RATE_HZ = 8000
ACCENTS = ["central"] * 40 + ["balear"] * 20 + [""] * 240
GENDERS = ["", "female", "male", "female", "male", "male"] * 50


@pytest.fixture
def stated(tmp_path: Path) -> Path:
    """Two streams of classes side by side: 240 of 300 rows lack an accent."""
    for split, num_samples in (("train", 800), ("test", 801)):
        with wave.open(str(tmp_path / f"{split}.wav"), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes(b"\1\0" * 300 * num_samples)
        rows = [
            Utterance(f"{split}{i}", f"{split}.wav", num_samples, speaker=f"{split}{i % 3}", accent=accent,
                      gender=GENDERS[i], start_s=i * num_samples / RATE_HZ)
            for i, accent in enumerate(ACCENTS)
        ]  # fmt: skip
        labels = {"accent": lambda u: u.accent or "", "gender": lambda u: u.gender or "female"}
        write_manifest(tmp_path / "m", split, rows, root=tmp_path, labels=labels, sample_rate_hz=RATE_HZ)
    write_dictionary(tmp_path / "m" / "dict.accent.txt", {"balear": 20, "central": 40})
    write_dictionary(tmp_path / "m" / "dict.gender.txt", {"female": 1, "male": 1})
    return tmp_path / "m"


def empty_lines(report: preflight.Report) -> dict[tuple[str, str], str]:
    """(split, stream) -> last column of the table of labels."""
    rows = [line.split() for line in report.text().split("\n\n")[1].split("\n")[2:]]
    return {(row[0], row[1]): row[-1] for row in rows}


PLAIN = preflight.Options(sample_rate_hz=RATE_HZ, num_decode=0)


def test_gap_in_one_of_several_streams_is_counted(stated: Path) -> None:
    report = preflight.check(stated, PLAIN)
    assert report.ok, report.text()
    assert not list(report.findings), report.text()
    expected = {("train", "accent"): "240", ("train", "gender"): "0"}
    assert empty_lines(report) == expected | {("test", name): count for (_, name), count in expected.items()}


def test_row_without_any_class_is_an_error(stated: Path) -> None:
    (stated / "test.gender").write_text("".join(f"{name}\n" for name in GENDERS), encoding="utf-8")
    report = preflight.check(stated, PLAIN)
    found = find(report, "no class in any label stream")
    assert (found.count, report.ok) == (40, False)
    assert found.examples[0].endswith("test.accent:61: the lines of accent or gender are all empty")
    assert [finding.type.problem for finding in report.findings] == [found.type.problem]


def test_gap_in_the_only_stream_of_classes_is_an_error(stated: Path) -> None:
    for options in (replace(PLAIN, labels=("accent",)), replace(PLAIN, classes=("accent",))):
        report = preflight.check(stated, options)
        assert find(report, "empty label").count == 480
        assert not report.ok


def test_blanks_are_no_gap(stated: Path) -> None:
    path = stated / "train.accent"
    path.write_text("".join(f"{name or ' '}\n" for name in ACCENTS), encoding="utf-8")
    report = preflight.check(stated, PLAIN)
    assert find(report, "empty label").count == 240
    assert "train.accent:61: the label is blank" in find(report, "empty label").examples[0]


def test_stream_with_nothing_but_gaps_in_a_split_stays_a_stream_of_classes(stated: Path) -> None:
    (stated / "test.accent").write_text("\n" * 300, encoding="utf-8")
    report = preflight.check(stated, PLAIN)
    assert report.ok, report.text()
    assert find(report, "class without examples in a held-out split").count == 2
    assert empty_lines(report)["test", "accent"] == "300"
    (stated / "train.accent").write_text("\n" * 300, encoding="utf-8")
    assert not preflight.check(stated, PLAIN).ok
    assert (
        find(preflight.check(stated, replace(PLAIN, classes=("accent", "gender"))), "in training").count == 2
    )
