"""Scored systems are gathered completely, summarised rightly, and RESULTS.md follows from results.json alone."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairseq_ext.report import markdown, partitions, provenance, results
from fairseq_ext.report.classification import families
from fairseq_ext.report.classification import tables as classification

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def gathered(
    digits_run: Path, about: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Return the run's results, written and read again."""
    copy = tmp_path_factory.mktemp("gathered")
    shutil.copytree(digits_run / "scores", copy / "scores")
    results.write_results(copy, about)
    assert results.stale_results_page(copy) is None
    return results.read_results(copy / "results.json")


def test_every_system_is_there(gathered: dict[str, Any], digits_run: Path) -> None:
    files = list((digits_run / "scores").rglob("metrics.json"))
    assert len(gathered["systems"]) == len(files) > 20
    keys = [(s["partition"], s["system"], s["seed"]) for s in gathered["systems"]]
    assert keys == sorted(keys)


def test_commands_do_not_name_the_machine(make_system: Callable[..., Path], tmp_path: Path) -> None:
    make_system(tmp_path, "published", "temporal_cnn", 1)
    assert results.read_systems(tmp_path)[0]["command"] == "evaluate RUN"
    (path,) = tmp_path.rglob("metrics.json")
    system = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(
        json.dumps({**system, "command": f"probe --checkpoint {Path.home()}/whisper --to {tmp_path}/s"})
    )
    assert results.read_systems(tmp_path)[0]["command"] == "probe --checkpoint ~/whisper --to RUN/s"


def test_summary_is_over_seeds(gathered: dict[str, Any]) -> None:
    summary = next(
        s for s in gathered["summary"] if (s["partition"], s["system"]) == ("published", "temporal_cnn")
    )
    seeds = [s for s in gathered["systems"] if (s["partition"], s["system"]) == ("published", "temporal_cnn")]
    values = [s["metrics"]["accuracy"]["value"] for s in seeds]
    found = summary["metrics"]["accuracy"]
    assert found["mean"] == pytest.approx(sum(values) / 2)
    assert (found["min"], found["max"]) == (min(values), max(values))
    assert summary["seeds"] == [1, 2]
    assert sum(map(sum, summary["confusion"])) == 2 * summary["n"]


def test_page_shows_the_partitions(gathered: dict[str, Any]) -> None:
    page = markdown.markdown(gathered)
    for table in markdown.all_tables(gathered):
        assert f"## {table.title}" in page
    assert "54.7" in page
    assert "**Synthetic speech" in page
    assert families.LEAKY_LABEL in page
    assert "Partition: elsewhere" in page
    assert "Warning" not in page


def test_worst_speaker_is_named(gathered: dict[str, Any]) -> None:
    (table,) = families.fold_tables(gathered)
    cells = dict(zip(table.header, table.rows[0], strict=True))
    scores = {speaker: float(cells[speaker]) for speaker in ("anna", "bert", "clara")}
    assert cells["Worst speaker"] == f"{min(scores, key=scores.__getitem__)} {min(scores.values())}"
    mean = float(cells["Mean macro-F1 %"].split()[0])
    assert mean == pytest.approx(sum(scores.values()) / 3, abs=0.06)


def test_few_labels_stand_beside_the_whole_split(gathered: dict[str, Any]) -> None:
    table = families.label_efficiency(gathered)
    assert table is not None
    assert table.header[1:] == (
        *(f"{n} per class and speaker" for n in (1, 5, 10, 50)),
        "one speaker, all of it",
    )
    assert [row[0] for row in table.rows] == ["Temporal CNN", "SimCLR, probe"]
    headline = classification.headline_table(gathered)
    assert headline is not None
    assert table.rows[0][4].split()[0] == headline.rows[1][2].split()[0]


def test_leaky_control_is_marked(gathered: dict[str, Any]) -> None:
    (table,) = families.leaky_controls(gathered)
    assert table is not None
    assert table.is_control
    assert "not a result" in table.title
    _, sound, leaky, difference = table.rows[0]
    assert float(difference) == pytest.approx(float(leaky.split()[0]) - float(sound.split()[0]), abs=0.11)


def test_real_data_has_no_warning(make_system: Callable[..., Path], tmp_path: Path) -> None:
    make_system(tmp_path, "published", "temporal_cnn", 1, data="real")
    assert provenance.synthetic_note(results.collect(tmp_path, {})) is None
    make_system(tmp_path, "published", "temporal_cnn", 2, data="synthetic")
    assert "Partly synthetic" in (provenance.synthetic_note(results.collect(tmp_path, {})) or "")


def test_detailed_system_is_the_recipes_choice(gathered: dict[str, Any]) -> None:
    assert partitions.detailed_system(gathered) == "temporal_cnn"
    unknown = gathered | {
        "about": {"best": "not_run", "systems": {"temporal_cnn": "T", "linear_classifier": "L"}}
    }
    assert partitions.detailed_system(unknown) == "linear_classifier"  # the last one with a title


def test_mixed_settings_give_a_warning(make_system: Callable[..., Path], tmp_path: Path) -> None:
    for seed in (1, 2):
        folder = make_system(tmp_path, "published", "temporal_cnn", seed)
        metrics = json.loads((folder / "metrics.json").read_text())
        (folder / "metrics.json").write_text(json.dumps(metrics | {"config_hash": f"hash{seed}"}))
    assert "Warning: the seeds of temporal_cnn" in markdown.markdown(results.collect(tmp_path, {}))


def test_damaged_files_are_named(make_system: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"scores: no metrics.json below it"):
        results.collect(tmp_path, {})
    folder = make_system(tmp_path, "published", "temporal_cnn", 1)
    (folder / "metrics.json").write_text("{")
    with pytest.raises(ValueError, match=r"seed1/metrics.json: damaged or not a JSON object"):
        results.collect(tmp_path, {})
    (folder / "metrics.json").write_text('{"system": "x"}')
    with pytest.raises(ValueError, match=r"no value for \['partition'"):
        results.collect(tmp_path, {})


def test_a_system_scored_twice_is_refused(make_system: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_system(tmp_path, "published", "temporal_cnn", 1)
    shutil.copytree(folder, tmp_path / "scores" / "again")
    with pytest.raises(ValueError, match="twice"):
        results.collect(tmp_path, {})


def test_stale_page_is_found(make_system: Callable[..., Path], tmp_path: Path) -> None:
    make_system(tmp_path, "published", "temporal_cnn", 1)
    results.write_results(tmp_path, {})
    page = tmp_path / "RESULTS.md"
    page.write_text(re.sub(r"\d\d\.\d", "99.9", page.read_text(), count=1))
    found = results.stale_results_page(tmp_path)
    assert found is not None
    assert "fairseq-ext report page --markdown" in found
    results.rewrite_markdown(tmp_path)
    assert results.stale_results_page(tmp_path) is None


def test_json_has_one_system_per_line(gathered: dict[str, Any]) -> None:
    text = results.dumps(gathered)
    assert json.loads(text) == gathered
    assert sum(line.startswith('  {"system"') for line in text.splitlines()) == len(gathered["systems"])


@pytest.mark.parametrize(
    "page", sorted(REPOSITORY.glob("recipes/*/RESULTS.md")), ids=lambda page: page.parent.name
)
def test_committed_results_follow_from_their_json(page: Path) -> None:
    assert results.stale_results_page(page.parent) is None
    synthetic = results.read_results(page.parent / "results.json")["data"] != "real"
    assert ("**Synthetic speech" in page.read_text(encoding="utf-8")) == synthetic
