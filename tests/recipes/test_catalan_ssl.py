"""Pre-training and recognition from nothing to the report; which settings a run folder keeps, and which are refused."""

import shutil
from pathlib import Path

import pytest
from recipes.every_smoke import *  # noqa: F403 - tests of what every recipe's smoke run leaves
from recipes.launching import REPOSITORY, SMOKE, finish, launch, results, speakers, wait

from fairseq_ext.files import read_lines

pytestmark = pytest.mark.recipe
RECIPE = REPOSITORY / "recipes" / "catalan_ssl"


def test_catalan_covers_every_system(smoke: Path) -> None:
    found = {(system["partition"], system["system"]) for system in results(smoke)["systems"]}
    expected = {("ssl", "wav2vec2"), ("asr", "ctc_pretrained"), ("asr", "ctc_random")}
    for partition in ("accent", "gender", "accent_leaky", "gender_leaky"):
        expected |= {(partition, "encoder_head"), (partition, "majority")}
    expected |= {("accent", "joint_head"), ("gender", "joint_head")}
    assert found == expected


def test_catalan_compares_at_equal_updates_with_and_without_language_model(smoke: Path) -> None:
    scored = [system for system in results(smoke)["systems"] if system["partition"] == "asr"]
    assert len({system["num_updates"] for system in scored}) == 1
    assert len({system["num_parameters"] for system in scored}) == 1
    assert all(set(system["decoders"]) == {"greedy", "lm"} for system in scored)


def test_catalan_explains_both_recognisers(smoke: Path) -> None:
    for system in ("ctc_pretrained", "ctc_random"):
        assert (smoke / "attribution" / f"asr-{system}-seed1-hit_rates.json").exists()
    assert "pointing" in (smoke / "RESULTS.md").read_text(encoding="utf-8").lower()


def test_catalan_trains_on_no_held_out_speaker(smoke: Path) -> None:
    tested = {
        partition: speakers(smoke, partition, "valid", "test") for partition in ("asr", "accent", "gender")
    }
    held_out = set[str]().union(*tested.values())
    assert all(tested.values())
    for partition in ("ssl", "asr", "asr_0.3min", "accent", "gender"):
        assert not speakers(smoke, partition, "train") & held_out, partition


def test_catalan_folder_keeps_one_choice_of_settings(smoke: Path) -> None:
    process = launch(RECIPE, smoke, *SMOKE, "--stage", "finetune", "--set", "finetune.model.dropout=0")
    assert wait(process, 60) != 0
    assert "choose another --out" in (smoke.parent / f"{smoke.name}.log").read_text(encoding="utf-8")


def test_catalan_fine_tunes_a_given_checkpoint(smoke: Path, tmp_path: Path) -> None:
    shutil.copytree(smoke / "manifests", tmp_path / "run" / "manifests")
    given = smoke / "train" / "ssl" / "wav2vec2" / "seed1" / "checkpoint_last.pt"
    stages = ("--stage", "pretrain", "--stop-stage", "finetune")
    rates = ("--set", "finetune.model.layer_decay=0.5")
    finish(RECIPE, tmp_path / "run", *SMOKE, *stages, *rates, "--pretrained", str(given))
    assert not (tmp_path / "run" / "train" / "ssl").exists()
    log = tmp_path / "run" / "train" / "asr" / "ctc_pretrained" / "seed1" / "stdout.log"
    assert str(given) in log.read_text(encoding="utf-8")


def test_catalan_command_that_was_refused_decides_nothing(tmp_path: Path) -> None:
    (tmp_path / "cv" / "clips").mkdir(parents=True)
    (tmp_path / "cv" / "clips" / "b.mp3").touch()
    for name in ("validated", "train", "dev", "test"):
        (tmp_path / "cv" / f"{name}.tsv").write_text(
            "client_id\tpath\tsentence\tlocale\na\tb.mp3\tHola.\tca\n"
        )
    (tmp_path / "old").mkdir()
    corpus = ("--corpus", str(tmp_path / "cv"), "--stop-stage", "data")
    basque = tmp_path / "eu"
    shutil.copytree(tmp_path / "cv", basque)
    for name in ("validated", "train", "dev", "test"):
        (basque / f"{name}.tsv").write_text("client_id\tpath\tsentence\tlocale\na\tb.mp3\tKaixo.\teu\n")
    for options, message in (
        (("--corpus", str(basque), "--stop-stage", "data"), "its rows are of 'eu'; give --locale eu, or "),
        ((*corpus, "--locale", "cat"), "language 'cat' has no rules and is not 'ca'"),
        ((*corpus, "--start", f"gl={tmp_path / 'old'}"), "--start gl="),
        ((*corpus, "--set", "finetune.optimization.max_updte=9"), "'max_updte' not in"),
        ((*corpus, "--set", "finetune.model.dropout=7"), "model.dropout=7.0: 0 to 1 expected"),
        (("--stage", "audio"), "run stage data first"),
        (("--stage", "manifests"), "run stage data first"),
        (("--stage", "pretrain"), "run stage manifests first"),
        (("--stage", "heads"), "run stage manifests first"),
    ):
        assert wait(launch(RECIPE, tmp_path / "run", *options), 300) != 0
        lines = (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()
        assert message in lines[-1]
        assert len(lines) == 2  # the stage's name, and why not
        assert not (tmp_path / "run" / "settings.txt").exists()
    finish(RECIPE, tmp_path / "run", *corpus)
    assert wait(launch(RECIPE, tmp_path / "run", "--stage", "manifests", "--division", "drawn"), 60) != 0
    assert "choose another --out" in (tmp_path / "run.log").read_text(encoding="utf-8")


def test_catalan_divides_as_its_options_say(smoke: Path, tmp_path: Path) -> None:
    done, out = smoke, tmp_path / "run"
    shutil.copytree(done / "audio", out / "audio")
    divided = ("--division", "drawn", "--keep-shared-sentences", "--stop-stage", "manifests")
    finish(RECIPE, out, "--smoke", "--corpus", str(done / "corpus"), *divided)
    assert "division=drawn keep-shared-sentences" in (out / "settings.txt").read_text(encoding="utf-8")
    assert speakers(out, "asr", "test")
    assert speakers(out, "asr", "test") != speakers(done, "asr", "test")
    sentences = [set(read_lines(out / "manifests" / "asr" / f"{split}.wrd")) for split in ("train", "test")]
    assert sentences[0] & sentences[1]


@pytest.mark.parametrize("labels", ["asr_10mn,asr", "accent", "asr_9*"])
def test_catalan_labels_are_those_of_its_manifests(smoke: Path, tmp_path: Path, labels: str) -> None:
    out = tmp_path / "run"
    shutil.copytree(smoke / "manifests", out / "manifests")
    stages = ("--stage", "check", "--stop-stage", "check")
    assert wait(launch(RECIPE, out, *stages, "--labels", labels), 60) != 0
    said = (tmp_path / "run.log").read_text(encoding="utf-8")
    assert f"--labels {labels}: " in said
    assert "; choose from asr asr_0.3min" in said


def test_catalan_starts_have_different_names(tmp_path: Path) -> None:
    starts = ("--start", f"gl={tmp_path}", "--start", f"gl={tmp_path.parent}")
    assert wait(launch(RECIPE, tmp_path / "run", *starts), 60) != 0
    assert "choose another NAME" in (tmp_path / "run.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("option", "value"),
    [("--size", "enormous"), ("--pretrained", "/no/such.pt"), ("--set", "lr=1"), ("--set", "tune.lr=1")],
)
def test_catalan_refuses_options_without_sense(tmp_path: Path, option: str, value: str) -> None:
    assert wait(launch(RECIPE, tmp_path / "run", *SMOKE, option, value), 60) != 0
    lines = (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1
    assert f"{option} {value}: " in lines[0]
    assert not (tmp_path / "run").exists()
