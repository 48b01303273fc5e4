"""Whatever names and texts a corpus holds, they are text on the page and nothing else."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from html_document import Document

from fairseq_ext.report import html, markdown, page, results
from fairseq_ext.report.run import Run
from fairseq_ext.report.tables import Table
from fairseq_ext.scoring.recognition.transcripts import Transcripts, file_name, write_transcripts

EVIL = "<script>alert(\"x\")<b onload='y'>&amp;$\\frac$"


@pytest.fixture(scope="module")
def text(
    tmp_path_factory: pytest.TempPathFactory,
    make_folds: Callable[..., None],
    make_recogniser: Callable[..., Path],
) -> str:
    """Write the page of a run in which every name is a piece of HTML."""
    run = tmp_path_factory.mktemp("evil")
    make_folds(run, [f"{EVIL}{i}" for i in range(2)], family=f"{EVIL}fold")
    for folder in (run / "scores").rglob("seed1"):
        path = folder / "metrics.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"command": EVIL, "device": EVIL}))
    out = make_recogniser(run, f"{EVIL}asr", "ssl", 1, 10)
    for decoder in ("greedy", "lm"):
        texts = (f"la {EVIL}", "casa")
        write_transcripts(
            out / file_name(decoder), Transcripts((EVIL, "b"), (EVIL, "b"), texts, ("el mar", EVIL))
        )
    (run / "attribution").mkdir()
    PIL.Image.new("RGB", (30, 12)).save(run / "attribution" / f"{EVIL}.png")
    about = {key: f"{EVIL}{key}" for key in ("title", "caption", "description")}
    (run / "attribution" / f"{EVIL}.json").write_text(json.dumps(about))
    table = {"title": f"{EVIL}table", "header": [EVIL], "rows": [[EVIL]], "note": EVIL}
    (run / "attribution" / "table.json").write_text(json.dumps(table))
    titles = {
        "title": EVIL,
        "intro": EVIL,
        "systems": {"temporal_cnn": f"{EVIL}cnn", "ssl": EVIL},
        "validation": EVIL,
    }
    titles |= {"words": {"1": f"{EVIL}one"}}
    return page.render(Run(run, results.collect(run, titles), ("t-SNE",)))


def strings(value: Any) -> list[str]:
    """Return every string in JSON values."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for part in parts for one in strings(part)]


def test_nothing_comes_out_unescaped(text: str) -> None:
    document = Document(text)
    assert document.every("script") == [
        {"type": "application/json", "data-points": ""},
        {},
        {},
    ]  # those of the map
    assert not any("onload" in attributes for _, attributes in document.tags)
    points, *code = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
    assert any(EVIL in one for one in strings(json.loads(points)))
    assert not any("alert" in script for script in code)
    outside = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "<script" not in outside
    assert "<b onload" not in text
    assert re.search(r"&(?!amp;|lt;|gt;|#\d+;)", outside) is None
    assert {attributes["id"] for attributes in document.every("section")} >= {
        *("recognition", "transcripts", "mistakes", "summary", "speakers", "confusion", "examples"),
        *("attribution", "provenance"),
    }


def test_everything_is_still_to_be_read(text: str) -> None:
    document = Document(text)
    for suffix in ("", "table", "title", "caption", "cnn", "one", "0", "1", "asr", "fold"):
        assert f"{EVIL}{suffix}" in document.text
    assert f"{EVIL}description" in {image["alt"] for image in document.every("img")}
    assert any(EVIL in player["aria-label"] for player in document.every("audio"))
    assert any(f"{EVIL}table" == region.get("aria-label") for region in document.every("div"))


def test_pieces_escape_by_themselves() -> None:
    assert html.show(EVIL) == (
        "<p>&lt;script&gt;alert(&#34;x&#34;)&lt;b onload=&#39;y&#39;&gt;&amp;amp;$\\frac$</p>"
    )
    assert "<script" not in html.differences([EVIL], ["a"]) + html.aligned([EVIL], ["a"])


def test_cells_of_pages_and_terminals_stay_cells() -> None:
    row = ("a|b\nc", "\x1b[31mred\u202e", "`<b>`\\")
    table = Table("t", "title", ("x", "y", "z"), (row,))
    line = markdown._markdown_table(table).splitlines()[-1]
    assert line == r"| a\|b c | \\x1b[31mred\\u202e | \`\<b>\`\\ |"
    assert not set("\x1b\u202e") & set(markdown._terminal_table(table))
