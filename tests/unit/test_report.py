"""The page: well formed, complete, offline, and readable without sight or script."""

import base64
import hashlib
import io
import json
import re
import runpy
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from html_document import Document
from PIL import Image

from fairseq_ext.commands.main import main
from fairseq_ext.report import html as html_
from fairseq_ext.report import page, players, provenance, results
from fairseq_ext.report.classification.sections import SECTIONS
from fairseq_ext.report.embedding_map.sections import MAPS
from fairseq_ext.report.result_type import Section
from fairseq_ext.report.run import Run


@pytest.fixture(scope="module")
def run(digits_run: Path, about: dict[str, object]) -> Run:
    return Run(digits_run, results.collect(digits_run, about), ("t-SNE",))


@pytest.fixture(scope="module")
def html(run: Run) -> str:
    return page.write_report(run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def document(html: str) -> Document:
    return Document(html)


def content(uri: str, media_type: str) -> bytes:
    assert uri.startswith(f"data:{media_type};base64,")
    return base64.b64decode(uri.partition(",")[2], validate=True)


def test_every_section_is_there(document: Document) -> None:
    keys = [attributes["id"] for attributes in document.every("section")]
    elsewhere = {"cross-corpus", "kinds", "frozen"}  # of classifiers on frozen embeddings
    expected = [section.key for section in (*SECTIONS, MAPS, provenance.SECTION)]
    assert keys == [key for key in expected if key not in elsewhere]
    links = {attributes["href"] for attributes in document.every("a")}
    assert {f"#{key}" for key in keys} <= links


def test_links_lead_somewhere(document: Document) -> None:
    ids = [attributes["id"] for _, attributes in document.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(a["href"].startswith("#") and a["href"][1:] in ids for a in document.every("a"))


def test_nothing_is_loaded_from_elsewhere(html: str, document: Document) -> None:
    for _, attributes in document.tags:
        for key in ("src", "href", "poster", "data", "srcset"):
            assert attributes.get(key, "#").startswith(("#", "data:"))
    assert not re.search(r"https?://|@import|url\(", without_scripts(html))
    policy = next(a["content"] for a in document.every("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")


def without_scripts(html: str) -> str:
    """Return a page without its scripts; the data of maps are none."""
    return re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)


def test_the_policy_names_the_scripts_and_no_others(html: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    assert len(digests) == 2
    assert f"script-src 'sha256-{digests[0]}' 'sha256-{digests[1]}'\"" in html
    assert "unsafe-eval" not in html[: html.index("</head>")]


def test_every_system_is_there(run: Run, html: str) -> None:
    every = re.search(r'id="systems">.*?</table>', html, re.DOTALL)
    assert every is not None
    lines = re.findall(r'<tr><th scope="row">(.*?)</th><td>(.*?)</td><td>(\d+)</td>', every[0])
    titles = run.results["about"]["systems"]
    expected = [(titles[r["system"]], r["partition"], str(r["seed"])) for r in run.results["systems"]]
    assert lines == expected


def test_images_decode_and_are_described(document: Document) -> None:
    images = document.every("img")
    assert len(images) >= 7
    for image in images:
        assert Image.open(io.BytesIO(content(image["src"], "image/png"))).width > 100
        assert len(image["alt"]) > 20


def test_recordings_play_wrong_ones_first(html: str, document: Document) -> None:
    players = document.every("audio")
    assert len(players) == 60
    for player in players:
        waveform, rate_hz = soundfile.read(io.BytesIO(content(player["src"], "audio/mpeg")))
        assert rate_hz == 8000
        assert 1600 <= len(waveform) < 4000
        assert "recording" in player["aria-label"]
    kinds = re.findall(r'<li class="(wrong|right)">', html)
    assert kinds == sorted(kinds, reverse=True)
    assert set(kinds) == {"wrong", "right"}
    assert re.search(r"<del>\w+</del> <ins>\w+</ins> <small>mistaken", html)


def test_controls_and_synthetic_data_are_labelled(html: str) -> None:
    assert re.search(r'class="control" id="leaky"><h3>Leaky control: not a result', html)
    assert re.search(r'class="banner" role="note">Synthetic speech', html)


def test_page_is_accessible(html: str, document: Document) -> None:
    assert document.every("html") == [{"lang": "en"}]
    assert len(document.every("h1")) == 1
    assert len(document.every("caption")) == len(document.every("table"))
    assert all(th.get("scope") in {"row", "col"} for th in document.every("th"))
    assert "width=device-width" in html


def test_page_stays_small(html: str) -> None:
    assert len(without_scripts(html)) < page.MAX_PAGE_BYTES / 3


def test_text_is_escaped() -> None:
    marked = html_.differences(["<b>", "mà"], ["&", "mà"])
    assert marked == "<del>&lt;b&gt;</del> <ins>&amp;</ins> mà"


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("a b c", "a b c", "a b c"),
        ("a b c", "a x c", "a <del>b</del> <ins>x</ins> c"),
        ("a b", "a", "a <del>b</del>"),
        ("", "a", "<ins>a</ins>"),
        ("", "", ""),
    ],
)
def test_differences_are_marked(reference: str, hypothesis: str, expected: str) -> None:
    assert html_.differences(reference.split(), hypothesis.split()) == expected


def test_wav_survives() -> None:
    with wave.open(io.BytesIO(players.wav(np.array([0.0, 1.0, -2.0], np.float32), 16000)[0])) as file:
        assert np.frombuffer(file.readframes(3), "<i2").tolist() == [0, 32767, -32767]


def test_recipes_add_sections(run: Run) -> None:
    own = Section("wer", "Word error rates", lambda _: ["12.3 <b>"])
    nothing = Section("none", "Nothing", lambda _: [])
    document = Document(page.render(run, [own, nothing]))
    assert [attributes["id"] for attributes in document.every("section")] == ["wer"]


def test_report_needs_only_results(run: Run, tmp_path: Path) -> None:
    """Without the run's other files the tables are still shown, the rest is left out."""
    html = page.render(Run(tmp_path, run.results, ()))
    Document(html)
    assert 'id="headline"' in html
    assert "<audio" not in html
    assert "<script" not in html
    assert "script-src" not in html


def test_too_large_a_page_is_refused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MAX_PAGE_BYTES", 1000)
    with pytest.raises(ValueError, match="expected at most 1000 bytes"):
        page.write_report(Run(tmp_path, run.results, ()), [])


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=root)


def test_command_writes_everything(
    digits_run: Path, tmp_path: Path, about: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scores").symlink_to(digits_run / "scores")
    (tmp_path / "about.json").write_text(json.dumps(about))
    assert main(["report", "page", str(tmp_path), "--about", str(tmp_path / "about.json"), "--no-umap"]) == 0
    text = capsys.readouterr().out
    assert "Published split" in text
    assert f"report: {tmp_path.resolve()}/report.html" in text
    assert {path.name for path in tmp_path.iterdir()} >= {"results.json", "RESULTS.md", "report.html"}


def test_what_is_missing_is_named_in_a_sentence(
    digits_run: Path,
    tmp_path: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(tool: str, arguments: str) -> None:
        """In this process: torch and fairseq are imported once."""
        monkeypatch.setattr(sys, "argv", [tool, *arguments.split()])
        runpy.run_path(str(repository / "tools" / f"{tool}.py"), run_name="__main__")

    (tmp_path / "run" / "manifests" / "asr").mkdir(parents=True)
    (tmp_path / "run" / "manifests" / "asr" / "train.tsv").touch()
    one = "--checkpoint nope.pt --data x --system x --out x"
    for tool, arguments, message in (
        ("report", "nope", "nope/scores: no metrics.json below it"),
        (
            "evaluate_recognition",
            "--run nope --origin real",
            "nope: this run folder does not exist",
        ),
        (
            "evaluate_recognition",
            f"--run {tmp_path}/run --origin real --partitions asr tpyo",
            "no partition matches tpyo, only asr found;",
        ),
        ("evaluate_recognition", f"{one} --origin real", "nope.pt: no such checkpoint; train first"),
        ("evaluate_recognition", f"{one} --origin real --device gpu", "device gpu: torch cannot use it"),
        ("evaluate", f"{one} --origin real --device gpu", "device gpu: torch cannot use it"),
        ("evaluate", "--run nope --origin real", "nope: this run folder does not exist"),
        (
            "evaluate",
            f"--run {tmp_path}/run --origin real --partitions tpyo",
            "no partition matches tpyo, only asr found;",
        ),
        ("gather_pretraining", "nope --origin real --partitions ssl", "nope: this run folder does not exist"),
        (
            "gather_pretraining",
            f"{tmp_path}/run --origin real --partitions asr ssl",
            "no partition matches ssl, only asr found;",
        ),
        ("attribute", "--run nope --origin real", "nope: this run folder does not exist"),
        ("attribute", f"--run {digits_run} --origin real", "no partition matches asr, only"),
    ):
        with pytest.raises(SystemExit) as ended:
            run(tool, arguments)
        assert str(ended.value.code).startswith(f"{tool}.py: ")
        assert message in str(ended.value.code)
    # a recipe's stage may have nothing to do
    for tool in ("evaluate_recognition", "attribute", "evaluate", "gather_pretraining"):
        folder = f"{tmp_path}/run" if tool == "gather_pretraining" else f"--run {tmp_path}/run"
        run(tool, f"{folder} --origin real --partitions asr")
        assert "nothing is" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_browser_shows_it_without_complaint(run: Run, tmp_path: Path, html: str) -> None:
    assert html
    quiet = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --enable-logging=stderr"
    offline = "--disable-background-networking --disable-component-update --disable-sync"
    shot, profile = f"--screenshot={tmp_path}/page.png", f"--user-data-dir={tmp_path}/profile"
    options = [*quiet.split(), *offline.split(), shot, profile, "--window-size=800,1200", "--dump-dom"]
    address = (run.folder / "report.html").as_uri()
    done = subprocess.run(["chromium", *options, address], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr
    assert 'data-drawn="yes"' in done.stdout, "the map is not drawn"
    assert len(np.unique(np.asarray(Image.open(tmp_path / "page.png").convert("L")))) > 50


HELP = """
import contextlib, io, runpy, sys
for tool in ("evaluate", "evaluate_recognition", "gather_pretraining", "majority", "probe", "report"):
    sys.argv = [f"{tool}.py", "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            runpy.run_path(f"tools/{tool}.py", run_name="__main__")
        except SystemExit as end:
            assert end.code == 0, tool
    assert text.getvalue().startswith("usage"), tool
"""


def test_help_is_there_at_once() -> None:
    done = command("-X", "importtime", "-c", HELP)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not re.search(r"\b(torch|fairseq|numpy|matplotlib)\b", done.stderr)
