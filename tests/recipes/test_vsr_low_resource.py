"""Lip readers of talks from nothing to the report; pre-training; other filters; a run that is killed while it crops."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from recipes.every_smoke import *  # noqa: F403 - tests of what every recipe's smoke run leaves
from recipes.launching import REPOSITORY, SMOKE, finish, launch, results, speakers, wait

from fairseq_ext.dictionary import read_dictionary
from fairseq_ext.manifest import read_labels, read_manifest
from fairseq_ext.media.mouth.table import read_clips

pytestmark = pytest.mark.recipe
RECIPE = REPOSITORY / "recipes" / "vsr_low_resource"
CLIP_FILES = {"video": "mp4", "audio": "wav", "landmarks": "npz"}


def clip_rows(out: Path) -> dict[str, Any]:
    """Return the rows of clips.tsv by id."""
    return {row.id: row for row in read_clips(out / "clips", status=None)}


def test_lips_clips_are_whole_and_planted_accidents_are_rejected(smoke: Path) -> None:
    rows = clip_rows(smoke)
    for name, row in rows.items():
        made = [(smoke / "clips" / f"{kind}/{name}.{end}").is_file() for kind, end in CLIP_FILES.items()]
        assert made == [row.status == "ok"] * 3, name
    assert {"cut_off", "unreadable", "no_video"} <= {row.reason for row in rows.values()}
    assert sum(row.status == "ok" for row in rows.values()) > 40


def test_lips_automatic_labels_only_train(smoke: Path) -> None:
    for language in ("it", "pt", "multilingual"):
        folder = smoke / "manifests" / language
        for split in ("valid", "test"):
            sources = (folder / f"{split}.label_source").read_text(encoding="utf-8").split()
            assert sources
            assert set(sources) == {"human"}
        held_out = speakers(smoke, language, "valid", "test")
        assert held_out
        assert not speakers(smoke, language, "train") & held_out


def test_lips_of_each_language_and_of_all_are_scored_on_unseen_speakers(smoke: Path) -> None:
    scored = {(s["partition"], s["system"]) for s in results(smoke)["systems"]}
    assert {(code, name) for code in ("it", "pt") for name in ("lips", "lips_shared", "auto_label")} <= scored
    for code in ("it", "pt", "ssl"):
        assert not speakers(smoke, code, "train") & (speakers(smoke, "multilingual", "valid", "test"))


def test_lips_most_frames_of_a_text_have_a_unit_of_it(smoke: Path) -> None:
    folder = smoke / "manifests" / "multilingual"
    units = {"<s>", *read_dictionary(folder / "dict.pieces.txt")}
    clips = list(read_manifest(folder, "train"))
    frames = [row.split() for row in read_labels(folder, "train", "piecesframes")]
    pieces = [row.split() for row in read_labels(folder, "train", "pieces")]
    known = [row for row in zip(clips, frames, pieces, strict=True) if row[1]]
    assert len(known) > len(clips) / 2
    for clip, own, said in known:
        assert len(own) == clip.num_frames
        assert set(own) <= units
        assert list(dict.fromkeys(unit for unit in own if unit != "<s>")) == list(dict.fromkeys(said))


def test_lips_are_pretrained_on_clips_without_labels(smoke: Path) -> None:
    options = ("--experiments", "pretraining,iteration2", "--labels", "it", "--stage", "clusters1")
    finish(RECIPE, smoke, *SMOKE, *options)
    systems = {s["system"] for s in results(smoke)["systems"] if s["partition"] == "it"}
    assert {"lips_iteration1", "lips_iteration2", "lips_unpretrained"} <= systems


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("talks.optimization.max_updte=9", "'optimization.max_updte'"),
        (
            "talks.model.encoder_type=lstmm",
            "one of conformer, transformer, gru, lstm expected, found 'lstmm'",
        ),
    ],
)
def test_lips_wrong_settings_stop_before_the_first_video(
    smoke: Path, tmp_path: Path, setting: str, message: str
) -> None:
    options = ("--corpus", str(smoke / "corpus"), "--smoke", "--experiments", "pretraining", "--set", setting)
    assert wait(launch(RECIPE, tmp_path / "run", *options), 120) != 0
    assert message in (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()[-1]
    assert not (tmp_path / "run" / "clips").exists()


def test_lips_settings_of_noise_may_be_below_0_db(smoke: Path, tmp_path: Path) -> None:
    options = (
        "--corpus",
        str(smoke / "corpus"),
        "--smoke",
        "--experiments",
        "modalities",
        "--stop-stage",
        "data",
    )
    finish(RECIPE, tmp_path / "run", *options, "--set", "talks.task.noise.noise_snr_low_db=-10")


def test_lips_shards_of_a_stage_run_beside_each_other(smoke: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    corpus = ("--corpus", str(smoke / "corpus"), "--smoke")
    finish(RECIPE, out, *corpus, "--stop-stage", "data")
    stage = ("--stage", "clips", "--stop-stage", "clips")
    shards = [
        launch(
            RECIPE,
            out,
            *corpus,
            *stage,
            "--cluster",
            f"--shards 2 --shard-id {i} --workers 1",
            log_name=f"{i}.log",
        )
        for i in (0, 1)
    ]
    assert [wait(shard, 300) for shard in shards] == [0, 0]
    said = [(tmp_path / f"{i}.log").read_text(encoding="utf-8") for i in (0, 1)]
    assert not any("another run is using" in text for text in said)
    assert (out / "clips" / "clips.tsv").read_bytes() == (smoke / "clips" / "clips.tsv").read_bytes()


def test_lips_filters_change_without_decoding(smoke: Path) -> None:
    table, rows = (
        (smoke / "labels" / "labels.tsv").read_bytes(),
        smoke / "manifests" / "multilingual" / "train.tsv",
    )
    before = rows.read_bytes()
    stage = ("--stage", "labels", "--stop-stage", "labels")
    finish(RECIPE, smoke, *SMOKE, *stage, "--filters", "--min-avg-logprob 0")
    sources = rows.with_suffix(".label_source").read_text(encoding="utf-8").split()
    assert set(sources) == {"human"}
    finish(RECIPE, smoke, *SMOKE, *stage, "--update")
    assert rows.read_bytes() == before
    assert (smoke / "labels" / "labels.tsv").read_bytes() == table


def test_lips_clips_of_a_killed_run_are_the_same(smoke: Path, tmp_path: Path) -> None:
    done, out = smoke, tmp_path / "run"
    stages = ("--corpus", str(done / "corpus"), "--smoke", "--stop-stage", "clips")
    process = launch(RECIPE, out, *stages)
    while len(list((out / "clips").rglob("*.mp4"))) < 5:
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    shards = [("--cluster", f"--shards 2 --shard-id {i} --workers 1") for i in (0, 1)]
    assert "this shard has done its part" in finish(RECIPE, out, *stages, *shards[0])
    assert not (out / "clips" / "clips.tsv").exists()
    finish(RECIPE, out, *stages, *shards[1])
    assert (out / "clips" / "clips.tsv").read_bytes() == (done / "clips" / "clips.tsv").read_bytes()
    for path in (done / "clips" / "video").rglob("*.mp4"):
        assert (out / path.relative_to(done)).read_bytes() == path.read_bytes(), path


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--languages", "fr,itt", "languages: found itt, expected some of af, am, "),
        ("--filters", "--min-avg-logprobb 0", "unrecognized arguments: --min-avg-logprobb"),
        ("--crop", "--detect-every 0", "detect_every"),
        ("--experiments", "iteration2", "iteration2 goes on where pretraining ends"),
    ],
)
def test_lips_a_wrong_option_of_any_stage_stops_before_anything_is_made(
    tmp_path: Path, option: str, value: str, message: str
) -> None:
    assert wait(launch(RECIPE, tmp_path / "run", *SMOKE, option, value), 60) != 0
    assert message in (tmp_path / "run.log").read_text(encoding="utf-8")
    assert not (tmp_path / "run").exists()
