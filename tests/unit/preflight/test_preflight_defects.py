"""Preflight: each defect planted alone is found, named, counted and fails, unless it was declared."""

from dataclasses import replace
from pathlib import Path

import pytest
from unit.preflight.defects import ERRORS, WARNINGS
from unit.preflight.folder import OPTIONS, find

from fairseq_ext import preflight


@pytest.mark.parametrize("name", ERRORS)
def test_a_planted_error_is_found_named_counted_and_fails(name: str, planted: Path) -> None:
    defect, words, where, count = ERRORS[name]
    defect(planted)
    report = preflight.check(planted / "manifest", OPTIONS)
    finding = find(report, words)
    assert not report.ok
    assert finding.count == count, report.text()
    assert where in finding.examples[0].split(": ")[0] + ": " + finding.examples[0].split(": ")[1], (
        report.text()
    )
    assert finding.type.severity is preflight.Severity.ERROR
    assert finding.type.next_step in report.text()
    assert "FAILED" in report.text()


@pytest.mark.parametrize("name", WARNINGS)
def test_a_planted_oddity_is_a_warning(name: str, planted: Path) -> None:
    defect, words, where, count = WARNINGS[name]
    defect(planted)
    report = preflight.check(planted / "manifest", OPTIONS)
    finding = find(report, words)
    assert report.ok, report.text()
    assert (finding.count, finding.type.severity) == (count, preflight.Severity.WARNING)
    assert where in finding.examples[0]


def test_a_declared_leak_is_a_warning_that_says_so(planted: Path) -> None:
    ERRORS["speaker in two splits"][0](planted)
    report = preflight.check(planted / "manifest", replace(OPTIONS, allow_shared_speakers=True))
    assert report.ok
    assert "leaky" in find(report, "declared a leaky control").type.next_step


def test_other_rates_can_be_allowed_and_mixed_ones_are_seen(planted: Path) -> None:
    ERRORS["other rate"][0](planted)
    report = preflight.check(planted / "manifest", replace(OPTIONS, any_rate=True))
    assert report.ok
    assert find(report, "resampled on every reading").count == 1
    unknown = replace(OPTIONS, sample_rate_hz=None, min_duration_s=0, max_duration_s=0)
    assert (
        "8000 Hz (23), 16000 Hz (1)"
        in find(preflight.check(planted / "manifest", unknown), "different sample rates").examples[0]
    )
