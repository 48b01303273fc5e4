"""A type of result is declared in one place, and is then in results.json, RESULTS.md, the terminal and on the page."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from html_document import Document

from fairseq_ext.report import html, markdown, page, results
from fairseq_ext.report.registry import RESULT_TYPES
from fairseq_ext.report.result_type import ResultType, Section, Tile
from fairseq_ext.report.run import Run
from fairseq_ext.report.tables import Table


def table(found: results.Results) -> list[Table]:
    """Return a line per verification."""
    lines = tuple((s["system"], f"{100 * s['eer']:.1f}") for s in found["summary"] if "eer" in s)
    return [Table("eer", "Equal error rates", ("System", "EER %"), lines)] if lines else []


VERIFICATION = ResultType(
    name="verification",
    required=("eer",),
    summarise=lambda seeds: {"eer": sum(s["eer"] for s in seeds) / len(seeds)},
    figures=lambda system: f"EER {100 * system['eer']:.1f} %",
    tables=table,
    main_tables=table,
    sections=(
        Section("verification", "Verification", lambda run: ["Pairs of <voices>.", *table(run.results)]),
    ),
    tiles=lambda run: [Tile("4.5 %", "equal error rate")],
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a run with a verification of two seeds."""
    monkeypatch.setitem(RESULT_TYPES, "verification", VERIFICATION)
    for seed, eer in ((1, 0.04), (2, 0.05)):
        folder = tmp_path / "scores" / "pairs" / "xvector" / f"seed{seed}"
        folder.mkdir(parents=True)
        name = {"system": "xvector", "kind": "verification", "partition": "pairs", "seed": seed, "n": 10}
        made = {"data": "real", "commit": "0" * 40, "config_hash": "a", "command": "verify", "eer": eer}
        (folder / "metrics.json").write_text(json.dumps(name | made))
    return tmp_path


def test_one_registration_reaches_every_output(run: Path) -> None:
    found = results.write_results(run, {})
    assert found["summary"][0]["eer"] == pytest.approx(0.045)
    assert "| xvector | 4.5 |" in (run / "RESULTS.md").read_text()
    assert "Equal error rates" in markdown.summary_text(found)
    text = page.write_report(Run(run, found, ())).read_text()
    keys = [attributes["id"] for attributes in Document(text).every("section")]
    assert keys == ["verification", "provenance"]
    assert '<div class="tile"><b>4.5 %</b><span>equal error rate</span></div>' in text
    assert "<p>Pairs of &lt;voices&gt;.</p>" in text
    assert "<td>EER 5.0 %</td>" in text


def test_what_a_type_requires_is_checked(run: Path) -> None:
    path = run / "scores/pairs/xvector/seed1/metrics.json"
    path.write_text(path.read_text().replace('"eer"', '"err"'))
    with pytest.raises(ValueError, match=r"seed1/metrics.json: no value for \['eer'\]"):
        results.read_systems(run)


def test_every_type_is_registered_under_its_name() -> None:
    assert {name: t.name for name, t in RESULT_TYPES.items()} == {name: name for name in RESULT_TYPES}
    keys = [section.key for section in page.sections()]
    assert len(keys) == len(set(keys))


def test_a_missing_package_is_named_with_its_extra(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    html._environment.cache_clear()
    with pytest.raises(ImportError, match=r"jinja2.*pip install .*\[analysis\]"):
        page.render(Run(run, results.collect(run, {}), ()))


def test_tables_need_no_extra() -> None:
    """RESULTS.md is written without the packages that draw and make the page."""
    optional = "{'jinja2', 'matplotlib', 'sklearn', 'torch'}"
    program = f"import sys, fairseq_ext.report.page; print({optional} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
