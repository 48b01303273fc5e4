"""Tables of recognisers and pre-trainings beside those of classifiers: each figure is that of results.json."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairseq_ext.report import extras, markdown, partitions, results, tables
from fairseq_ext.report.classification import families
from fairseq_ext.report.classification.tables import other_partitions
from fairseq_ext.report.pieces import Picture
from fairseq_ext.report.recognition import breakdowns, comparison, labelled_speech, systems
from fairseq_ext.report.recognition import tables as recognition
from fairseq_ext.report.recognition.labelled_speech import Amount

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def gathered(
    speech_run: Path, speech_about: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Return the run's results, written and read again."""
    copy = tmp_path_factory.mktemp("gathered")
    for name in ("scores", "attribution"):
        shutil.copytree(speech_run / name, copy / name)
    results.write_results(copy, speech_about)
    assert results.stale_results_page(copy) is None
    return results.read_results(copy / "results.json")


def of(gathered: dict[str, Any], system: str, partition: str) -> list[dict[str, Any]]:
    """Return the seeds of a system."""
    return [s for s in gathered["systems"] if (s["system"], s["partition"]) == (system, partition)]


def test_every_type_is_on_one_page(gathered: dict[str, Any]) -> None:
    page = markdown.markdown(gathered)
    for table in markdown.all_tables(gathered):
        assert f"## {table.title}" in page
    for heading in (
        "Word error rates: 10 minutes",
        "Word error rate by labelled speech",
        "Accent",
        "WER by gender",
        "Pointing game",
    ):
        assert f"## {heading}" in page
    assert "Self-supervised pre-training" in page
    keys = [table.key for table in markdown.all_tables(gathered)]
    assert len(keys) == len(set(keys))


def test_terminal_shows_the_main_figures(gathered: dict[str, Any]) -> None:
    text = markdown.summary_text(gathered)
    wer = gathered["summary"]
    found = next(s for s in wer if (s["system"], s["partition"]) == ("ssl", "labels/10"))
    assert tables.percent(found["decoders"]["lm"]["metrics"]["wer"]["mean"]) in text
    for heading in (
        "Pre-trained against From random values",
        "Word error rate by labelled speech",
        "Accent",
        "Leaky control",
    ):
        assert heading in text
    assert "Synthetic speech" in text


def test_rates_are_those_of_the_systems(gathered: dict[str, Any]) -> None:
    table = recognition.rates(gathered, "labels/10")
    cells = dict(zip(table.header, table.rows[1], strict=False))
    values = [r["decoders"]["greedy"]["metrics"]["wer"]["value"] for r in of(gathered, "ssl", "labels/10")]
    low, high = sorted(values)
    mean = sum(values) / 2
    expected = f"{tables.percent(mean)} ({tables.percent(low)}–{tables.percent(high)})"
    assert (cells["System"], cells["WER %, greedy"], cells["Seeds"]) == ("Pre-trained", expected, "2")
    assert "18 utterances (9 s) of 9 speakers, none of them trained on; 7 with a sentence" in table.note
    assert "bootstrap over speakers" in table.note


def test_a_decoder_that_was_not_run_leaves_a_gap(
    make_recogniser: Callable[..., Path], tmp_path: Path
) -> None:
    for name in ("ssl", "scratch"):
        folder = make_recogniser(tmp_path, "all", name, 1, 10)
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics["decoders"]["lm"]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    table = recognition.rates(results.collect(tmp_path, {}), "all")
    cells = dict(zip(table.header, table.rows[0], strict=False))
    assert (cells["System"], cells["WER %, with LM"], cells["CER %, with LM"]) == ("scratch", "–", "–")
    assert table.rows[1][table.header.index("WER %, with LM")] != "–"


def test_what_no_system_has_is_no_column(make_recogniser: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_recogniser(tmp_path, "all", "ssl", 1, 10)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics.update(num_updates=None, train_s=None, num_speakers=1)
    for decoder in metrics["decoders"].values():
        decoder.update(settings={}, real_time_factor=None)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    gathered = results.collect(tmp_path, {})
    for table in (recognition.rates(gathered, "all"), recognition.decoding(gathered, "all")):
        assert "–" not in table.rows[0]
        assert {len(line) for line in table.rows} == {len(table.header)}
        assert not {"Updates", "Training s", "Settings", "Seconds per second of audio"} & set(table.header)
        assert not any(word in table.note for word in ("Training seconds", "alpha", "1 speakers"))


def test_comparison_is_paired(gathered: dict[str, Any]) -> None:
    found = comparison.compare(gathered, "ssl", "scratch")
    assert [(c.partition, c.decoder) for c in found] == [
        (p, d) for p in ("labels/1", "labels/10") for d in ("greedy", "lm")
    ]
    for c in found:
        rates = [
            sum(r["decoders"][c.decoder]["metrics"]["wer"]["value"] for r in of(gathered, name, c.partition))
            / 2
            for name in ("ssl", "scratch")
        ]
        assert c.wers == pytest.approx(tuple(rates))
        assert c.interval is not None
        assert c.interval[0] < c.difference < c.interval[1] < 0
        assert (c.num_better, c.seeds, c.is_equal_training) == (2, (1, 2), True)
    backwards = comparison.compare(gathered, "scratch", "ssl")
    assert [c.difference for c in backwards] == pytest.approx([-c.difference for c in found])


def test_comparison_with_itself_finds_nothing(gathered: dict[str, Any]) -> None:
    for c in comparison.compare(gathered, "ssl", "ssl"):
        assert (c.difference, c.interval, c.num_better) == (0.0, (0.0, 0.0), 0)


def test_unequal_training_gives_a_warning(make_recogniser: Callable[..., Path], tmp_path: Path) -> None:
    make_recogniser(tmp_path, "all", "ssl", 1, 10)
    folder = make_recogniser(tmp_path, "all", "scratch", 1, 10)
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics | {"num_updates": 4000}))
    table = breakdowns.comparison(results.collect(tmp_path, {}), "ssl", "scratch")
    assert table is not None
    assert "NOT at equal numbers" in table.note
    assert table.rows[0][-1] == "400 against 4,000"


def test_other_words_are_not_compared(make_recogniser: Callable[..., Path], tmp_path: Path) -> None:
    make_recogniser(tmp_path, "all", "ssl", 1, 10)
    folder = make_recogniser(tmp_path, "all", "scratch", 1, 10)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["decoders"]["greedy"]["per_speaker"]["veu0"][2] += 1
    (folder / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(ValueError, match="all/scratch seed 1: was not tested on the same words"):
        comparison.compare(results.collect(tmp_path, {}), "ssl", "scratch")
    with pytest.raises(ValueError, match="expected pairs of systems"):
        comparison.pairs({"about": {"compare": ["ssl"]}})


def test_minutes_of_labels_are_columns(gathered: dict[str, Any]) -> None:
    amounts = [Amount(1.0, 0.0, "labels/1"), Amount(10.0, 0.0, "labels/10")]
    assert labelled_speech.families(gathered) == {"labels/10": amounts}
    table = labelled_speech.label_efficiency(gathered, "labels/10")
    assert table.header == ("System", "1 min", "10 min")
    assert [row[0] for row in table.rows] == [
        f"{title}, {decoder}"
        for title in ("From random values", "Pre-trained")
        for decoder in ("greedy", "with LM")
    ]
    rates = recognition.rates(gathered, "labels/10")
    assert table.rows[2][2].startswith(rates.rows[1][2])


def test_other_tests_are_another_family(make_recogniser: Callable[..., Path], tmp_path: Path) -> None:
    for partition, minutes in {"asr_1min": 1, "asr": 10, "digits/1": 1, "digits/all": 60, "alone": 5}.items():
        folder = make_recogniser(tmp_path, partition, "ssl", 1, minutes)
        if partition.startswith(("digits", "alone")):
            metrics = json.loads((folder / "metrics.json").read_text())
            metrics["decoders"]["greedy"]["per_speaker"]["veu0"][2] += 1 + (partition == "alone")
            (folder / "metrics.json").write_text(json.dumps(metrics))
    found = labelled_speech.families(results.collect(tmp_path, {}))
    assert found == {
        "asr": [Amount(1.0, 0.0, "asr_1min"), Amount(10.0, 0.0, "asr")],
        "digits/all": [Amount(1.0, 0.0, "digits/1"), Amount(60.0, 0.0, "digits/all")],
    }
    table = labelled_speech.label_efficiency(results.collect(tmp_path, {}), "digits/all")
    assert table.title == "Word error rate by labelled speech: digits/all"


def test_automatic_labels_are_not_counted_as_labelled(
    make_recogniser: Callable[..., Path], tmp_path: Path
) -> None:
    """A hundred labelled clips, with automatic labels beside them, and all clips labelled by people."""
    for partition, (minutes, automatic) in {"few": (5, 0), "few_auto": (5, 35), "all": (40, 0)}.items():
        folder = make_recogniser(tmp_path, partition, "ssl", 1, minutes)
        metrics = json.loads((folder / "metrics.json").read_text())
        (folder / "metrics.json").write_text(json.dumps(metrics | {"automatic_minutes": automatic}))
    found = results.collect(tmp_path, {})
    table, picture = labelled_speech.pieces(found)
    assert isinstance(table, tables.Table)
    assert table.header == ("System", "5 min", "5 min + 35 min automatic", "40 min")
    assert "after the plus, by recognisers" in table.note
    assert isinstance(picture, Picture)
    (greedy, _) = labelled_speech._panels(found, "all").values()
    assert {name: list(curve) for name, curve in greedy.items()} == {
        "ssl": [40, 5],
        "ssl and automatic labels": [5],
    }


def test_a_recogniser_comes_before_languages_with_labels_alone() -> None:
    about = {"best": {"recognition": "lips"}, "headline": ["fr", "es"], "systems": {"auto": "A", "lips": "L"}}
    rows = [("fr", "auto"), ("es", "auto"), ("es", "lips")]
    summary = [{"partition": p, "system": name, "kind": "recognition"} for p, name in rows]
    found = systems.detailed({"about": about, "summary": summary, "systems": summary})
    assert found == summary[-1]
    found = systems.detailed({"about": about, "summary": summary[:1], "systems": summary[:1]})
    assert found == summary[0]


def test_groups_are_of_the_detailed_system(gathered: dict[str, Any]) -> None:
    table = breakdowns.per_group(gathered, "per_accent")
    assert table is not None
    assert [row[0] for row in table.rows] == ["balear", "central", "not stated"]
    assert sum(int(row[1]) for row in table.rows) == 18
    assert "fewer than 5 speakers" in table.note


def test_hardest_speakers_come_first(gathered: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    table = breakdowns.per_speaker(gathered)
    assert table is not None
    column = table.header.index("WER %, with LM")
    rates = [float(row[column]) for row in table.rows]
    assert rates == sorted(rates, reverse=True)
    assert {row[0] for row in table.rows} == {f"veu{i}" for i in range(9)}
    words = [int(row[table.header.index("Words")]) for row in table.rows]
    mean = sum(rate * n for rate, n in zip(rates, words, strict=True)) / sum(words)
    overall = recognition.rates(gathered, "labels/10").rows[1][4].split()[0]
    assert mean == pytest.approx(float(overall), abs=0.1)
    monkeypatch.setattr(breakdowns, "MAX_SPEAKERS", 2)
    shorter = breakdowns.per_speaker(gathered)
    assert shorter is not None
    assert shorter.rows == table.rows[:2]
    assert "hardest 2 of 9" in shorter.note


def test_settings_are_listed_over_seeds() -> None:
    settings = [{"alpha": 0.5, "lm": "a.arpa"}, {"alpha": 1.0, "lm": "a.arpa"}]
    assert recognition._settings(settings) == "alpha 0.5 | 1, lm a.arpa"
    assert recognition._settings([{}]) == "–"


def test_classifiers_keep_their_own_partitions(gathered: dict[str, Any]) -> None:
    assert partitions.headlines(gathered) == ["accent", "gender"]
    assert [partitions.detailed_system(gathered, partition) for partition in ("accent", "gender")] == [
        "ssl",
        "ssl",
    ]
    (control,) = families.leaky_controls(gathered)
    assert control.is_control
    assert control.header[1] == "Sound Macro-F1 % (Accent)"
    _, sound, leaky, difference = control.rows[0]
    assert float(difference) == pytest.approx(float(leaky) - float(sound), abs=0.11)
    assert not any("accent_leaky" in t.title for t in other_partitions(gathered))


def test_results_of_two_types_under_one_name_are_refused(
    make_system: Callable[..., Path], make_recogniser: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_recogniser(tmp_path, "all", "ssl", 1, 10)
    other = make_system(tmp_path, "published", "temporal_cnn", 2)
    metrics = json.loads((other / "metrics.json").read_text()) | {"partition": "all", "system": "ssl"}
    (other / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(ValueError, match="all/ssl: the seeds are results of several types"):
        results.collect(tmp_path, {})
    (other / "metrics.json").unlink()
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics | {"kind": "telepathy"}))
    with pytest.raises(ValueError, match="'telepathy'"):
        results.collect(tmp_path, {})
    del metrics["decoders"]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(ValueError, match=r"no value for \['decoders'\]"):
        results.collect(tmp_path, {})


def test_stale_page_of_several_types_is_found(gathered: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(results.dumps(gathered))
    page = results.rewrite_markdown(tmp_path)
    assert results.stale_results_page(tmp_path) is None
    page.write_text(re.sub(r"HiRes-CAM \| 100.0", "HiRes-CAM | 99.0", page.read_text()))
    found = results.stale_results_page(tmp_path)
    assert found is not None
    assert "fairseq-ext report page --markdown" in found


def test_tables_of_other_tools_are_checked(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    path = tmp_path / "corpus" / "hours.json"
    path.write_text(json.dumps({"title": "Hours", "header": ["Split", "h"], "rows": [["tren ç", "1.0"]]}))
    (table,) = extras.tables({"tables": extras.read_tables(tmp_path)})
    assert (table.key, table.rows, table.note) == ("corpus-hours", (("tren ç", "1.0"),), "")
    for broken in (
        {"header": ["a"], "rows": [["x", "y"]]},
        {"header": ["a"], "rows": [[1]]},
        {"header": "a"},
    ):
        path.write_text(json.dumps(broken))
        with pytest.raises(ValueError, match=r"hours.json: expected rows of text"):
            extras.read_tables(tmp_path)
    path.write_text("[]")
    with pytest.raises(ValueError, match=r"not a JSON object \(found list\)"):
        extras.read_tables(tmp_path)


def test_results_without_a_kind_are_classifications() -> None:
    """Results written before there were types give the same page, byte for byte."""
    folder = REPOSITORY / "recipes" / "spoken_digits"
    found = results.read_results(folder / "results.json")
    for item in (*found["systems"], *found["summary"]):
        item.pop("kind", None)
    assert markdown.markdown(found).encode() == (folder / "RESULTS.md").read_bytes()
