"""The page of a run of several result types: well formed, escaped, offline, with differences marked."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from html_document import Document

from fairseq_ext.report import extras, page, players, results, score_plots
from fairseq_ext.report import html as html_
from fairseq_ext.report.run import Run


@pytest.fixture(scope="module")
def run(speech_run: Path, speech_about: dict[str, object]) -> Run:
    return Run(speech_run, results.collect(speech_run, speech_about), ())


@pytest.fixture(scope="module")
def html(run: Run) -> str:
    return page.render(run)


@pytest.fixture(scope="module")
def document(html: str) -> Document:
    return Document(html)


def test_every_type_has_its_sections(document: Document) -> None:
    keys = [attributes["id"] for attributes in document.every("section")]
    assert keys == [
        *("recognition", "labelled-speech", "groups", "transcripts", "mistakes", "decoding"),
        *("recognition-learning", "recognition-others", "ssl"),
        *("summary", "speakers", "control", "confusion", "attribution", "provenance"),
    ]


def test_links_and_ids_agree(document: Document) -> None:
    ids = [attributes["id"] for _, attributes in document.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(a["href"].startswith("#") and a["href"][1:] in ids for a in document.every("a"))


def test_nothing_is_loaded_from_elsewhere(html: str, document: Document) -> None:
    for _, attributes in document.tags:
        for key in ("src", "href"):
            assert attributes.get(key, "#").startswith(("#", "data:"))
    assert not re.search(r"https?://|@import|url\(", html)


def test_text_of_the_corpus_is_escaped(html: str) -> None:
    assert "As written: &lt;b&gt;El mar&lt;/b&gt; &amp; la muntanya" in html
    assert "HiRes-CAM &lt;over&gt; the log-mel" in html
    assert "<b>El mar" not in html


def test_letters_survive(html: str) -> None:
    for text in ("ça", "col·lecció", "plourà", "«ça»"):
        assert text in html


def test_players_hold_the_recordings(run: Run, document: Document) -> None:
    players = document.every("audio")
    assert 12 <= len(players) <= 18
    for player in players:
        content = page_bytes(player["src"])
        found, rate = soundfile.read(io.BytesIO(content))
        assert rate == 8000
        assert len(found) >= 1600
        assert player["aria-label"].startswith("recording veu")


def page_bytes(uri: str) -> bytes:
    """Decode the file in a data address."""
    import base64

    assert uri.startswith("data:audio/mpeg;base64,")
    return base64.b64decode(uri.partition(",")[2], validate=True)


def test_rates_without_mp3_are_kept_as_wav() -> None:
    waveform = np.sin(np.arange(4000) / 5).astype(np.float32)
    for rate, expected in ((16000, "audio/mpeg"), (10000, "audio/wav")):
        content, media_type = players.compressed(waveform, rate)
        assert media_type == expected
        found, found_hz = soundfile.read(io.BytesIO(content))
        assert found_hz == rate
        assert np.abs(found[1000:3000]).max() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("spoken", "heard", "expected"),
    [
        (["à"], ["à"], 'à<span class="quiet" aria-hidden="true">à</span>'),
        (
            ["casa"],
            ["<ça>"],
            '<del>casa</del><ins><b aria-hidden="true">≠</b><span class="hidden"> (taken for) </span> &lt;ça&gt;</ins>',
        ),
        (["ŀl"], [], '<del>ŀl</del><b aria-hidden="true">−</b><span class="hidden"> (left out) </span>'),
        (
            [],
            ["ŀl"],
            '<span aria-hidden="true">·</span>'
            '<ins><b aria-hidden="true">+</b><span class="hidden"> (put in) </span> ŀl</ins>',
        ),
    ],
)
def test_differences_have_symbol_colour_and_words(spoken: list[str], heard: list[str], expected: str) -> None:
    assert html_.aligned(spoken, heard) == f'<p class="aligned"><span>{expected}</span></p>'


def test_images_are_described(document: Document) -> None:
    images = document.every("img")
    assert len(images) >= 6
    assert all(len(image["alt"]) > 10 for image in images)
    assert "A heat map, over time." in {image["alt"] for image in images}


def test_page_needs_only_results(run: Run, tmp_path: Path) -> None:
    html = page.render(Run(tmp_path, run.results, ()))
    Document(html)
    assert 'id="wer-labels-10"' in html
    assert 'id="attribution-hits"' in html
    assert "<audio" not in html


def test_tiles_name_every_headline(html: str) -> None:
    tiles = re.findall(r'<div class="tile"><b>(.*?)</b><span>(.*?)</span>', html)
    assert len(tiles) == 5
    assert "word error rate on unseen speakers, greedy, Pre-trained" in tiles[0][1]
    assert "macro-F1 on unseen speakers (Gender)" in tiles[4][1]


def test_highest_bar_is_marked_and_labels_stay_apart() -> None:
    values: dict[str, Any] = {"greedy": {"a": {"mean": 0.5, "low": 0.4, "high": 0.6}}}
    values["greedy"]["b"] = {"mean": 0.2, "low": 0.1, "high": 0.9}
    texts = score_plots.interval_bars(values, "", "").axes[0].texts
    assert [text.get_text() for text in texts] == ["50.0 highest", "20.0"]
    assert [text.xy[0] for text in texts] == [60.0, 90.0]


def test_pictures_beyond_the_budget_are_left_out(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "MAX_PICTURE_BYTES", 10)
    found = "".join(map(html_.show, extras.ATTRIBUTION.make(run)))
    assert "The word «ça»: left out" in found
    assert "<img" not in found
