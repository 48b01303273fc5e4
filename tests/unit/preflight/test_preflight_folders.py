"""Preflight of whole folders: a healthy one passes, what is missing is an error, no content stops the check."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.preflight.folder import OPTIONS, RATE_HZ, find, write_wav

from fairseq_ext import preflight
from fairseq_ext.manifest import Utterance, write_manifest


def test_a_healthy_folder_passes_without_a_word(healthy: Path) -> None:
    report = preflight.check(healthy / "manifest", OPTIONS)
    assert report.ok
    assert not list(report.findings), report.text()
    assert [scan.num_rows for scan in report.scans] == [12, 6, 6]
    assert report.rates == {RATE_HZ: 24}
    assert "OK: 0 errors, 0 warnings" in report.text()


def test_word_times_beside_a_split_are_no_split(planted: Path) -> None:
    (planted / "manifest" / "train.times.tsv").write_text("id\tword_number\tword\tstart_s\tend_s\n")
    report = preflight.check(planted / "manifest", OPTIONS)
    assert report.ok
    assert [scan.name for scan in report.scans] == ["train", "valid", "test"]


def test_missing_splits_labels_and_folders_are_errors(healthy: Path, tmp_path: Path) -> None:
    asked = replace(OPTIONS, splits=("train", "dev"), labels=("digit", "km"), ctc=(), classes=("km",))
    report = preflight.check(healthy / "manifest", asked)
    assert "dev.tsv" in find(report, "split missing").examples[0]
    assert "train.km" in find(report, "label file missing").examples[0]
    assert "dict.km.txt" in find(report, "dictionary missing").examples[0]
    assert [scan.name for scan in report.scans] == ["train"]
    assert not preflight.check(tmp_path, OPTIONS).ok
    assert not preflight.check(tmp_path / "none", OPTIONS).ok


@pytest.mark.parametrize("name", ["train.tsv", "train.meta.tsv", "train.ltr", "dict.ltr.txt"])
def test_a_folder_in_place_of_a_file_is_a_finding(planted: Path, name: str) -> None:
    (planted / "manifest" / name).unlink()
    (planted / "manifest" / name).mkdir()
    report = preflight.check(planted / "manifest", replace(OPTIONS, labels=("digit", "ltr", "wrd")))
    problem = "bad dictionary" if name.startswith("dict") else "cannot be read"
    assert f"{name} is a folder" in find(report, problem).examples[0]
    assert not report.ok


def test_segments_are_checked_against_their_file(tmp_path: Path) -> None:
    write_wav(tmp_path / "long.wav", 20_000)
    segments = [
        Utterance(f"s{i}", "long.wav", 5000, speaker="anna", start_s=i * 0.625, end_s=i * 0.625 + 0.625)
        for i in range(4)
    ]
    write_manifest(tmp_path / "m", "train", segments, root=tmp_path, sample_rate_hz=RATE_HZ)
    options = replace(OPTIONS, ctc=())
    report = preflight.check(tmp_path / "m", options)
    assert not list(report.findings), report.text()
    write_wav(tmp_path / "long.wav", 19_999)
    report = preflight.check(tmp_path / "m", options)
    assert "train.tsv:5" in find(report, "shorter than its row").examples[0]
    assert find(report, "shorter than its row").count == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["train.tsv", "train.meta.tsv", "test.digit", "train.ltr", "dict.ltr.txt"]),
    data=st.binary(max_size=300),
    at=st.integers(0, 400),
)
def test_no_content_stops_the_check(healthy: Path, name: str, data: bytes, at: int) -> None:
    path = healthy / "manifest" / name
    original = path.read_bytes()
    try:
        path.write_bytes(original[:at] + data + original[at + len(data) // 2 :])
        preflight.check(healthy / "manifest", OPTIONS).text()
    finally:
        path.write_bytes(original)
