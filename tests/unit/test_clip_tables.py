"""Tables of clips and labels: counts that add up, error rates of trusted and refused labels."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fairseq_ext.labelling.table import LABELLED, NO_SPEECH, OTHER_LANGUAGE, ClipLabel
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.media.mouth.table import ClipRow
from fairseq_ext.report import clip_tables
from fairseq_ext.scoring.label_quality import Checked, pair, read_checked, score_labels, word_error_rate
from fairseq_ext.scoring.scored_system import ScoredSystem
from fairseq_ext.text.spelling import Spelling, write_spelling

CLIPS = [
    ClipRow("fr/1", "mtedx/video/fr/a.mp4", num_frames=1500, face_size_px=80.0, detection_rate=1.0),
    ClipRow("fr/2", "mtedx/video/fr/a.mp4", num_frames=1500, face_size_px=120.0, detection_rate=0.9),
    ClipRow("fr/3", "mtedx/video/fr/b.mp4", status="rejected", reason="no_face"),
    ClipRow("id1/x", "voxceleb2/dev/mp4/id1/x.mp4", status="rejected", reason="unreadable"),
]
SPOKEN = {
    "fr/1": "anne achète deux pommes",
    "fr/2": "marie vend trois lampes",
    "fr/3": "louis lave dix robes",
}


@pytest.fixture
def checked() -> Checked:
    """Return one text without errors, one with two wrong words, and one clip without speech."""
    row = ClipLabel(id="fr/1", video="a", state=LABELLED, language="fr", text="Anne achète deux pommes.")
    labels = [
        row,
        replace(row, id="fr/2", language="it", text="marie vend tre lampade"),
        replace(row, id="fr/3", state=NO_SPEECH, language="", text=""),
        replace(row, id="fr/9"),
    ]
    utterances = [Utterance(name, "", 16000, transcript=text) for name, text in SPOKEN.items()]
    return pair([*utterances, Utterance("fr/8", "", 16000)], {label.id: label for label in labels})


def column(table: dict[str, Any], name: str) -> list[str]:
    return [row[table["header"].index(name)] for row in table["rows"]]


def test_clips_of_each_corpus_are_counted() -> None:
    table = clip_tables.clips_table(CLIPS)
    assert column(table, "Corpus") == ["mtedx", "voxceleb2"]
    assert column(table, "Videos") == ["2", "1"]
    assert column(table, "Clips") == ["2", "0"]
    assert column(table, "Length") == ["2 min", "0 s"]
    assert column(table, "Rejected") == ["1", "1"]
    assert column(table, "Face, px") == ["100", "–"]
    assert column(table, "Found, %") == ["95.0", "–"]


def test_every_rejection_has_its_reason_and_meaning() -> None:
    table = clip_tables.rejections_table(CLIPS)
    assert sorted(column(table, "Reason")) == ["no_face", "unreadable"]
    assert all(column(table, "Meaning"))
    assert table["note"].startswith("2 of 4 clips")


def test_only_clips_with_transcript_and_label_are_compared(checked: Checked) -> None:
    assert [u.id for u in checked.utterances] == ["fr/1", "fr/2", "fr/3"]
    assert checked.texts[2] == ""


def test_recognised_languages_are_counted_by_spoken_ones(checked: Checked) -> None:
    other = replace(checked.labels[1], state=OTHER_LANGUAGE, language="de")
    table = clip_tables.language_table(
        {"fr": replace(checked, labels=(*checked.labels[:1], other, checked.labels[2]))}
    )
    (row,) = table["rows"]
    cells = dict(zip(table["header"], row, strict=True))
    recognised = {name: cells[f"as {name}"] for name in ("fr", "de", "none")}
    assert recognised == {"fr": "1", "de": "1", "none": "1"}
    assert (cells["Clips"], cells["Right, %"], cells["other"]) == ("3", "33.3", "0")


def test_trusted_and_refused_labels_have_their_own_error_rates(checked: Checked) -> None:
    table = clip_tables.trust_table({"fr": checked}, {"fr": {"fr/1"}})
    (row,) = table["rows"]
    assert row[1::2] == ["3", "1", "2"]
    # 4 + 4 + 4 words: none wrong in the first, two in the second, all of the third left out.
    assert [cell.split()[0] for cell in row[2::2]] == ["50.0", "0.0", "75.0"]


@pytest.mark.parametrize(
    ("record", "reference", "text"),
    [
        (Spelling("fr", apostrophes=False), "locéan bleu", "L'océan bleu."),
        (Spelling("fr", "upper"), "DEUX POMMES", "2 pommes"),
        (Spelling("", apostrophes=False), "locéan bleu", "l'océan bleu"),  # of several languages
        (Spelling("fr", punctuation=True), "À 7 h, l'océan", "À 7 h,  l'océan"),
        (None, "LOCÉAN BLEU", "locéan bleu"),
    ],
)
def test_labels_are_spelled_as_the_transcripts_which_stay_as_they_are(
    tmp_path: Path, record: Spelling | None, reference: str, text: str
) -> None:
    label = ClipLabel(id="a", video="v", state=LABELLED, language="fr", text=text)
    row = Utterance("a", "a.wav", 16_000, speaker="s", transcript=reference, language="fr")
    write_manifest(tmp_path, "valid", [row], root=str(tmp_path))
    if record is not None:
        write_spelling(tmp_path, record)
    found = read_checked(tmp_path, "valid", {"a": label})
    rate = word_error_rate(found, "fr", {"a"})
    assert rate is not None
    assert rate["value"] == 0
    system = ScoredSystem("auto_label", "fr", 1, "synthetic", "test")
    result = score_labels(system, tmp_path / "out", tmp_path, "valid", {"a": label}, {})
    assert result is not None
    assert result["decoders"]["auto"]["metrics"]["wer"]["value"] == 0
    assert result["decoders"]["auto"]["counts"]["words"]["num_reference"] == len(reference.split())


def test_nothing_refused_leaves_a_gap(checked: Checked) -> None:
    (row,) = clip_tables.trust_table({"fr": checked}, {"fr": {"fr/1", "fr/2", "fr/3"}})["rows"]
    assert row[-2:] == ["0", "–"]


def test_picture_stands_beside_its_text(tmp_path: Any) -> None:
    import cv2
    import numpy as np

    picture = np.random.default_rng(0).integers(0, 256, (96 * 2, 960), dtype=np.uint8)
    clip_tables.write_picture(tmp_path / "montage", picture, 40)
    assert np.array_equal(cv2.imread(str(tmp_path / "montage.png"), cv2.IMREAD_GRAYSCALE), picture)
    assert "2 of 40 clips" in (tmp_path / "montage.json").read_text(encoding="utf-8")
