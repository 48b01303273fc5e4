"""results.json in short: the same RESULTS.md, each thing once, and details only where a table shows them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairseq_ext.report import markdown, provenance, results
from fairseq_ext.report.short_form import expand, rounded, shorten
from fairseq_ext.report.tables import Table, side_by_side

SPEAKERS = ("anna", "bert", "clara")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_folds: Callable[..., None]) -> Path:
    found = tmp_path_factory.mktemp("short")
    make_folds(found, SPEAKERS)
    return found


@pytest.fixture(scope="module")
def full(folder: Path) -> dict[str, Any]:
    about = {"best": "temporal_cnn"}
    return rounded(json.loads(json.dumps(results.collect(folder, about))))


def test_markdown_is_the_same_of_what_was_left(full: dict[str, Any]) -> None:
    short = shorten(full)
    assert len(results.dumps(short)) < len(results.dumps(full)) / 2
    assert markdown.markdown(expand(short)) == markdown.markdown(full)
    assert shorten(expand(short)) == short


def test_folds_are_summarised_once_pooled(full: dict[str, Any]) -> None:
    short = shorten(full)
    assert short["summary"] == []
    metrics = [(s["partition"], s["system"], s["metrics"]) for s in full["summary"]]
    assert [(s["partition"], s["system"], s["metrics"]) for s in expand(short)["summary"]] == metrics
    for system in short["systems"]:
        assert not any(isinstance(value, (dict, list)) for key, value in system.items() if key != "metrics")
        assert system["num_speakers"] == 1


def test_speakers_and_classes_are_those_of_the_detailed_system(full: dict[str, Any]) -> None:
    kept = {s["system"]: {"per_speaker", "per_class"} & s.keys() for s in shorten(full)["pooled"]}
    assert kept == {"linear_classifier": set(), "temporal_cnn": {"per_speaker", "per_class"}}


def test_a_command_is_written_once(full: dict[str, Any]) -> None:
    short = shorten(full)
    assert results.dumps(short).count(full["systems"][0]["command"]) == len(short["origins"]) == 1
    again = expand(short)["systems"]
    for key in ("data", "commit", "command", "device"):
        assert [s.get(key) for s in again] == [s.get(key) for s in full["systems"]]


def test_the_page_has_what_was_gathered(folder: Path) -> None:
    gathered = results.write_results(folder, {})
    assert all("confusion" in s for s in gathered["summary"])
    assert all("per_class" in s for s in gathered["pooled"])


def test_results_of_the_format_before_are_read(full: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(results.dumps({**full, "format": 2}), encoding="utf-8")
    assert markdown.markdown(results.read_results(tmp_path / "results.json")) == markdown.markdown(full)


def test_figures_keep_seven_digits() -> None:
    assert rounded({"a": [0.123456789, 1234567.8, 3, "x"], "b": None}) == {
        "a": [0.1234568, 1234568.0, 3, "x"],
        "b": None,
    }


def test_many_settings_are_counted_by_family(full: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(provenance.settings(full).rows) == len(full["summary"]) == 6
    monkeypatch.setattr(provenance, "MAX_SETTINGS", 5)
    table = provenance.settings(full)
    assert table.rows == (("leave_one_out/", "3", "2", "1", "1", "60"),)
    assert "results.json holds the configuration hash" in markdown.markdown(full)


def test_tables_side_by_side_share_their_lines() -> None:
    one = Table("a", "A", ("System", "f"), (("x", "1"), ("y", "2")), "First.")
    other = Table("b", "B", ("System", "m", "n"), (("y", "3", "4"), ("z", "5", "6")), "Second.")
    table = side_by_side("Both", [one, other])
    assert table is not None
    assert (table.key, table.header, table.note) == ("a-b", ("System", "f", "m", "n"), "First. Second.")
    assert table.rows == (("x", "1", "–", "–"), ("y", "2", "3", "4"), ("z", "–", "5", "6"))
    assert side_by_side("Both", [one]) is one
    assert side_by_side("Both", []) is None


@pytest.mark.parametrize(
    "path", sorted(REPOSITORY.glob("recipes/**/results.json")), ids=lambda path: path.parent.name
)
def test_committed_results_are_small(path: Path) -> None:
    assert path.stat().st_size < 500_000
    assert len(path.with_name("RESULTS.md").read_text(encoding="utf-8").splitlines()) < 350
