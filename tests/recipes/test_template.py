"""The recipe for anybody's data set of classes, from nothing to its report."""

import shutil
from pathlib import Path

import pytest
from recipes.every_smoke import *  # noqa: F403 - tests of what every recipe's smoke run leaves
from recipes.launching import REPOSITORY, SMOKE, finish, launch, speakers, wait

pytestmark = pytest.mark.recipe
RECIPE = REPOSITORY / "recipes" / "TEMPLATE"
SPEAKERS = {"george", "jackson", "lucas"}


def test_each_speaker_is_tested_once_and_never_trained_on(smoke: Path) -> None:
    folds = {path.name for path in (smoke / "manifests" / "leave_one_speaker_out").iterdir()}
    assert folds == SPEAKERS
    for speaker in folds:
        partition = f"leave_one_speaker_out/{speaker}"
        assert speakers(smoke, partition, "test") == {speaker}
        assert speakers(smoke, partition, "train", "valid") == SPEAKERS - {speaker}


def test_report_pools_the_folds(smoke: Path) -> None:
    text = (smoke / "RESULTS.md").read_text(encoding="utf-8")
    assert "folds pooled" in text
    page = (smoke / "report.html").read_text(encoding="utf-8")
    for section in ("onfusion", "mbedding", "earning curve"):
        assert section in page


def table_of(corpus: Path) -> str:
    """Return a table of the built-in digits whose columns have other names."""
    paths = [path.relative_to(corpus) for path in sorted(corpus.glob("[a-z]*/*/*.wav"))]
    return "\n".join(["file;word;who", *(f"{path};{path.parts[0]};{path.parts[1]}" for path in paths)])


def test_a_table_is_another_way_to_say_the_same(smoke: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(table_of(smoke / "corpus"), encoding="utf-8")
    options = (
        "--table",
        str(tmp_path / "table.csv"),
        "--path",
        "file",
        "--class",
        "word",
        "--speaker",
        "who",
    )
    finish(RECIPE, tmp_path / "run", "--corpus", str(smoke / "corpus"), *options, "--stop-stage", "manifests")
    name = "manifests/leave_one_speaker_out/lucas/train.class"
    assert (tmp_path / "run" / name).read_bytes() == (smoke / name).read_bytes()


def test_speakers_must_be_known_or_their_absence_accepted(smoke: Path, tmp_path: Path) -> None:
    shutil.copytree(smoke / "corpus", tmp_path / "corpus")
    options = ("--corpus", str(tmp_path / "corpus"), "--stop-stage", "manifests")
    assert wait(launch(RECIPE, tmp_path / "run", *options), 60) != 0
    assert "no speaker is known" in (tmp_path / "run.log").read_text(encoding="utf-8")
    said = finish(RECIPE, tmp_path / "other", *options, "--no-speakers")
    assert "NOT speaker-independent" in said
    assert {path.name for path in (tmp_path / "other" / "manifests").iterdir() if path.is_dir()} == {"leaky"}


def test_another_choice_needs_another_folder(smoke: Path) -> None:
    assert wait(launch(RECIPE, smoke, *SMOKE, "--max-folds", "2", "--stop-stage", "manifests"), 60) != 0
    assert "choose another --out" in (smoke.parent / f"{smoke.name}.log").read_text(encoding="utf-8")
