"""Folds of a recogniser: the transcripts of them all make one word error rate, wherever a report shows one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from html_document import Document

from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.report import markdown, page, partitions, results
from fairseq_ext.report.recognition import breakdowns, comparison, systems, tables
from fairseq_ext.report.recognition.labelled_speech import Amount, families
from fairseq_ext.report.run import Run
from fairseq_ext.scoring.recognition.scores import score_recognition
from fairseq_ext.scoring.recognition.transcripts import read_transcripts

VOICES = tuple(f"veu{i}" for i in range(6))
FAMILY = "leave_one_out/"
Write = Callable[..., Path]
Tone = Callable[..., int]


def write_folds(run: Path, make_recogniser: Write, *, system: str, seed: int, family: str = FAMILY) -> None:
    for voice in VOICES:
        make_recogniser(run, f"{family}{voice}", system, seed, 10, voices=[voice])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_recogniser: Write, make_tone: Tone) -> Run:
    """Write a run that leaves one speaker out at a time, and has no report.json."""
    folder = tmp_path_factory.mktemp("folds")
    for system in ("ssl", "scratch"):
        for seed in (1, 2):
            write_folds(folder, make_recogniser, system=system, seed=seed)
    for i, voice in enumerate(VOICES):
        said = []
        for k in range(2):
            size = make_tone(folder / "corpus" / f"{voice}_{k}.wav", i, np.random.default_rng(k))
            accent = ("central", "balear")[i % 2]
            said.append(
                Utterance(f"{voice}_{k}", f"{voice}_{k}.wav", size, speaker=voice, accent=accent, gender="f")
            )
        write_manifest(folder / "manifests" / f"{FAMILY}{voice}", "test", said, root=folder / "corpus")
    return Run(folder, results.write_results(folder, {"compare": [["ssl", "scratch"]]}), ())


def summary_of(found: dict[str, Any], system: str) -> dict[str, Any]:
    return next(s for s in found["pooled"] if s["system"] == system)


def test_one_error_rate_counts_every_error(run: Run) -> None:
    (pooled,) = (s for s in run.results["pooled"] if s["system"] == "ssl")
    assert (pooled["partition"], pooled["folds"]) == (FAMILY, [f"{FAMILY}{voice}" for voice in VOICES])
    assert (pooled["seeds"], pooled["n"], pooled["num_speakers"]) == ([1, 2], 12, 6)
    assert pooled["hours"] == pytest.approx(6 * 0.0025)
    assert pooled["num_known_sentences"] == 6 * 7
    for decoder in ("greedy", "lm"):
        found = pooled["decoders"][decoder]
        rates = []
        for seed in (1, 2):
            paths = (run.folder / "scores").glob(f"{FAMILY}*/ssl/seed{seed}/predictions.{decoder}.tsv")
            every = [read_transcripts(path) for path in sorted(paths)]
            sides = [
                [text for t in every for text in getattr(t, side)] for side in ("references", "hypotheses")
            ]
            speakers = [name for t in every for name in t.speakers]
            nothing = [None] * len(speakers)
            expected = score_recognition(*sides, speakers, nothing, nothing, "ca")
            rates.append(expected["metrics"]["wer"])
        assert found["metrics"]["wer"]["mean"] == pytest.approx(np.mean([rate["value"] for rate in rates]))
        assert found["metrics"]["wer"]["low"] == pytest.approx(np.mean([rate["low"] for rate in rates]))
        assert found["resampled"] == "speakers"
        assert set(found["per_accent"]) == {"balear", "central"}


def test_report_shows_the_pooled_rate_first(run: Run) -> None:
    found = run.results
    assert partitions.headlines(found, "recognition") == [FAMILY]
    text = markdown.markdown(found)
    assert "## Word error rates: Leave one out, folds pooled" in text
    assert "12 utterances" in text
    assert "the transcripts of all 6 folds are scored together." in text
    assert "## Leave one out: WER % of each unseen speaker" in text
    assert "Word error rates: Partition" not in text
    assert results.stale_results_page(run.folder) is None
    wer = summary_of(dict(found), "ssl")["decoders"]["lm"]["metrics"]["wer"]["mean"]
    assert f"{100 * wer:.1f}" in markdown.summary_text(found)


def test_folds_have_a_column_each_and_the_worst_is_named(run: Run) -> None:
    (table,) = tables.fold_tables(run.results)
    assert table.header == ("System", "Worst speaker", *VOICES)
    assert [row[0] for row in table.rows] == [
        f"{system}, {decoder}" for system in ("scratch", "ssl") for decoder in ("greedy", "with LM")
    ]
    for _, worst, *cells in table.rows:
        assert worst.split()[1] == max(cells, key=float)


def test_page_plays_utterances_of_several_folds(run: Run) -> None:
    text = page.render(run)
    document = Document(text)
    assert {"recognition", "groups", "transcripts", "mistakes", "decoding"} <= {
        attributes["id"] for attributes in document.every("section")
    }
    assert "of 12 utterances have no wrong word" in document.text
    assert len(document.every("audio")) == 12
    assert "(Leave one out, folds pooled)" in document.text


def test_speakers_of_all_folds_are_listed(run: Run) -> None:
    table = breakdowns.per_speaker(run.results)
    assert table is not None
    assert {row[0] for row in table.rows} == set(VOICES)
    assert {row[1] for row in table.rows} == {"2"}


def test_two_systems_are_compared_over_all_folds(run: Run) -> None:
    greedy, _ = comparison.compare(run.results, "ssl", "scratch")
    assert (greedy.partition, greedy.seeds) == (FAMILY, (1, 2))
    assert greedy.interval is not None
    rates = [summary_of(dict(run.results), name)["decoders"]["greedy"] for name in ("ssl", "scratch")]
    assert greedy.wers == pytest.approx([rate["metrics"]["wer"]["mean"] for rate in rates])


def rewrite(run: Path, voice: str, **changes: object) -> None:
    path = run / "scores" / f"{FAMILY}{voice}" / "ssl" / "seed1" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_is_no_fold_of_one_test_is_not_pooled(tmp_path: Path, make_recogniser: Write) -> None:
    for fold in ("a", "b"):  # the same utterances
        make_recogniser(tmp_path, f"noise/{fold}", "ssl", 1, 10)
    write_folds(tmp_path, make_recogniser, system="ssl", seed=1)
    assert [s["partition"] for s in results.collect(tmp_path, {})["pooled"]] == [FAMILY]
    rewrite(tmp_path, "veu0", language="fr")
    assert "pooled" not in results.collect(tmp_path, {})
    rewrite(tmp_path, "veu0", language="ca")
    for path in (tmp_path / "scores" / f"{FAMILY}veu1").rglob("predictions.*"):
        path.unlink()
    found = results.collect(tmp_path, {})
    assert "pooled" not in found
    assert "## Word error rates: leave_one_out/veu1" in markdown.markdown(found)


def test_folds_that_differ_are_said(tmp_path: Path, make_recogniser: Write) -> None:
    write_folds(tmp_path, make_recogniser, system="ssl", seed=1)
    path = tmp_path / "scores" / f"{FAMILY}veu0" / "ssl" / "seed1" / "metrics.json"
    decoders = json.loads(path.read_text())["decoders"]
    decoders["lm"]["settings"]["alpha"] = 1.25
    rewrite(tmp_path, "veu0", decoders=decoders, num_updates=800, config_hash="another")
    found = results.collect(tmp_path, {})
    (pooled,) = found["pooled"]
    assert pooled["decoders"]["lm"]["settings"][0]["alpha"] == "1.25 | 0.5"
    assert pooled["num_updates"] == []
    text = markdown.markdown(found)
    assert "several values: one per seed and fold." in text
    assert "Warning: the seeds and folds of ssl (leave_one_out/) were trained with different settings" in text
    # Without manifests nobody can say who spoke how, which is not the same as not stated.
    assert pooled["decoders"]["lm"]["per_accent"] == {}


def test_amounts_of_labels_are_pooled(tmp_path: Path, make_recogniser: Write) -> None:
    for minutes in (1, 10):
        for voice in VOICES[:5]:
            make_recogniser(tmp_path, f"minutes_{minutes}/{voice}", "ssl", 1, minutes, voices=[voice])
    found = results.collect(tmp_path, {})
    amounts = [Amount(1.0, 0.0, "minutes_1/"), Amount(10.0, 0.0, "minutes_10/")]
    assert families(found) == {"minutes_10/": amounts}
    assert {s["partition"] for s in systems.recognised(found)} == {"minutes_1/", "minutes_10/"}
