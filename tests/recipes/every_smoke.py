"""Tests of what every recipe's smoke run leaves; each recipe's file of tests imports them, since it makes the run."""

import re
from pathlib import Path

from recipes.launching import SMOKE, finish, results

from fairseq_ext.report.results import stale_results_page


def test_smoke_ends_with_results_and_report(smoke: Path) -> None:
    scored = results(smoke)["systems"]
    assert scored
    assert {system["data"] for system in scored} == {"synthetic"}
    assert stale_results_page(smoke) is None
    assert "synthetic" in (smoke / "RESULTS.md").read_text(encoding="utf-8")
    page = (smoke / "report.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert not re.findall(
        r"""(?:src|href)=["']https?://[^"']+\.(?:js|css|png|woff2?)""", page
    )  # self-contained


def test_every_training_is_scored(smoke: Path) -> None:
    trained = {path.parent.relative_to(smoke / "train") for path in (smoke / "train").rglob("done")}
    scored = {path.parent.relative_to(smoke / "scores") for path in (smoke / "scores").rglob("metrics.json")}
    elsewhere = {path for path in trained if path.parts[-2] == "simclr"}  # scored by its probes
    elsewhere |= {
        path for path in trained if path.parts[0] == "accent_gender"
    }  # scored as accent and as gender
    elsewhere |= {
        path for path in trained if path.parts[0].startswith("multilingual")
    }  # scored in each language, beside those of that language alone
    assert trained - elsewhere <= scored
    listed = {(system["partition"], system["system"], system["seed"]) for system in results(smoke)["systems"]}
    assert listed == {
        ("/".join(p.parts[:-2]), p.parts[-2], int(p.parts[-1].removeprefix("seed"))) for p in scored
    }


def files_of(out: Path) -> dict[str, int]:
    """Return when each checkpoint and file of scores was written."""
    paths = [*(out / "train").rglob("*.pt"), *(out / "scores").rglob("*")]
    return {str(path): path.stat().st_mtime_ns for path in paths if path.is_file()}


def test_finished_run_has_nothing_left_to_do(recipe: Path, smoke: Path) -> None:
    before, page = files_of(smoke), (smoke / "RESULTS.md").read_bytes()
    finish(recipe, smoke, *SMOKE)
    assert files_of(smoke) == before
    assert (smoke / "RESULTS.md").read_bytes() == page
