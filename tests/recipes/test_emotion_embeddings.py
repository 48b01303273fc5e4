"""Emotions from frozen embeddings, from the built-in CREMA-D to the report."""

from pathlib import Path

import pytest
from recipes.every_smoke import *  # noqa: F403 - tests of what every recipe's smoke run leaves
from recipes.launching import REPOSITORY, SMOKE, launch, results, wait
from recipes.unseen_speakers import *  # noqa: F403

pytestmark = pytest.mark.recipe
RECIPE = REPOSITORY / "recipes" / "emotion_embeddings"


def test_every_kind_of_partition_and_system_is_scored(smoke: Path) -> None:
    found = {(s["partition"].partition("/")[0], s["system"]) for s in results(smoke)["systems"]}
    encoders = ("tiny", "mfcc", "logmel", "prosody")
    expected = {("unseen_speakers", f"{name}_{kind}") for name in encoders for kind in ("logistic", "knn")}
    expected |= {("unseen_speakers", f"{name}_logistic_centred") for name in encoders}
    for partition in ("unseen_speakers_and_sentence", "leaky", "speaker"):
        expected |= {(partition, f"{name}_logistic") for name in encoders}
    names = ("shuffled_labels", "duration_only", "tiny_finetuned")
    expected |= {("unseen_speakers", name) for name in names}
    assert expected <= found


def test_the_report_has_every_section(smoke: Path) -> None:
    page = (smoke / "report.html").read_text(encoding="utf-8")
    for section in ("summary", "speakers", "control", "kinds", "frozen", "confusion", "maps", "examples"):
        assert f'<section id="{section}"' in page
    for column in ("UA (macro recall) %", "UA % by gender"):
        assert column in (smoke / "RESULTS.md").read_text(encoding="utf-8")


def test_the_fine_tuned_encoder_stands_beside_its_frozen_embeddings(smoke: Path) -> None:
    text = (smoke / "RESULTS.md").read_text(encoding="utf-8")
    tables = [part for part in text.split("## ") if "| tiny finetuned |" in part]
    assert [table.partition(":")[0].partition("\n")[0] for table in tables] == [
        "Unseen speakers, folds pooled",
        "Unseen speakers",
        "UA % by gender, UA % by intensity, choices inside the training speakers",
        "Provenance",
    ]
    assert "| tiny_finetuned |" in text.partition("## Differences on unseen_speakers/")[2]
    for fold in ("fold01", "fold02"):
        folder = smoke / "train" / "unseen_speakers" / fold / "tiny_finetuned" / "seed1"
        assert "2 of 2 layers of the encoder loaded" in (folder / "stdout.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--finetune",), "--finetune: nothing to train; give an --encoder"),
        (("--set", "finetune.model.frozen_layers=1"), "--set: it is for --finetune, which is missing"),
    ],
)
def test_fine_tuning_needs_an_encoder(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    assert wait(launch(RECIPE, tmp_path / "run", "--corpus", str(tmp_path), *options), 60) != 0
    assert message in (tmp_path / "run.log").read_text(encoding="utf-8")
    assert not (tmp_path / "run").exists()


def test_an_encoder_that_is_not_there_is_named_before_anything_is_made(tmp_path: Path) -> None:
    assert wait(launch(RECIPE, tmp_path / "run", *SMOKE, "--encoder", "nope"), 60) != 0
    assert "--encoder nope: no such file or folder" in (tmp_path / "run.log").read_text(encoding="utf-8")
    assert not (tmp_path / "run").exists()
