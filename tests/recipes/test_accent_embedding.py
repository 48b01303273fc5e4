"""Accent embeddings, from the built-in L2-ARCTIC to the report."""

import json
from pathlib import Path

import pytest
from recipes.every_smoke import *  # noqa: F403 - tests of what every recipe's smoke run leaves
from recipes.launching import REPOSITORY, launch, results, wait
from recipes.unseen_speakers import *  # noqa: F403

pytestmark = pytest.mark.recipe
RECIPE = REPOSITORY / "recipes" / "accent_embedding"


def test_every_system_is_scored_on_unseen_speakers(smoke: Path) -> None:
    found = {(s["partition"].partition("/")[0], s["system"]) for s in results(smoke)["systems"]}
    names = ("encoder", "encoder_knn", "encoder_logistic", "mfcc_logistic", "prosody_logistic")
    expected = {("unseen_speakers", name) for name in (*names, "shuffled_labels", "duration_only")}
    expected |= {(family, "encoder") for family in ("unseen_speakers_and_sentence", "leaky", "pairs")}
    assert expected | {("speaker", "encoder_logistic")} <= found


def test_pairs_of_one_sentence_and_of_two_are_told_apart(smoke: Path) -> None:
    path = smoke / "scores" / "pairs" / "fold01" / "encoder" / "seed1" / "metrics.json"
    assert "sentence" in json.dumps(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--experiments", "accent,speaker"), "speaker is about another corpus"),
        (("--experiments", "speaker", "--folds", "2"), "--folds: it is for accents"),
    ],
)
def test_experiments_of_two_corpora_are_not_mixed(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    assert wait(launch(RECIPE, tmp_path / "run", "--corpus", str(tmp_path), *options), 60) != 0
    assert message in (tmp_path / "run.log").read_text(encoding="utf-8")
    assert not (tmp_path / "run").exists()
