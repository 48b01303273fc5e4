"""Lip reading of GRID, from a synthetic speaker's videos to error rates and a page."""

from pathlib import Path

import pytest
from recipes.launching import REPOSITORY, finish, results

from fairseq_ext.manifest import read_labels, read_manifest
from fairseq_ext.report.results import stale_results_page
from fairseq_ext.scoring.scored_system import read_json

pytestmark = pytest.mark.recipe
RECIPE = REPOSITORY / "recipes" / "vsr_low_resource"
GRID = ("--smoke", "--corpus", "synthetic_grid", "--experiments", "labels,pretraining,iteration2")
SYSTEMS = ("lips", "lips_iteration1", "lips_iteration2", "lips_unpretrained")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("grid") / "run"
    finish(RECIPE, out, *GRID)
    return out


def test_few_and_all_labels_are_trained_and_scored(run: Path) -> None:
    scored = results(run)["systems"]
    assert {(s["partition"], s["system"], s["data"]) for s in scored} == {
        (partition, system, "synthetic") for partition in ("s1", "s1_8") for system in SYSTEMS
    }
    assert stale_results_page(run) is None
    assert "<html" in (run / "report.html").read_text(encoding="utf-8")


def test_the_cut_off_video_is_left_out_and_others_are_divided(run: Path) -> None:
    assert len((run / "clips" / "rejections.tsv").read_text(encoding="utf-8").splitlines()) == 2
    sides = [{u.id for u in read_manifest(run / "manifests" / "s1", split)} for split in ("train", "test")]
    assert sum(map(len, sides)) == 21
    assert not sides[0] & sides[1]
    few = {u.id for u in read_manifest(run / "manifests" / "s1_8", "train")}
    assert len(few) == 8
    assert few < sides[0]


def test_the_second_iteration_learns_from_clusters_of_the_first(run: Path) -> None:
    first, second = (read_labels(run / folder, "train", "km") for folder in ("clusters1", "clusters2"))
    clips = read_manifest(run / "manifests" / "ssl", "train")
    for clip, mfcc, learnt in zip(clips, first, second, strict=True):
        assert len(mfcc.split()) == pytest.approx(4 * (clip.num_frames or 0), abs=4)
        assert len(learnt.split()) == pytest.approx(clip.num_frames or 0, abs=1)


def test_every_word_of_a_sentence_has_frames(run: Path) -> None:
    folder = run / "manifests" / "s1"
    rows = zip(read_labels(folder, "train", "wordframes"), read_labels(folder, "train", "words"), strict=True)
    for frames, words in rows:
        said = dict.fromkeys(frame for frame in frames.split() if frame != "<s>")
        assert list(said) == list(dict.fromkeys(words.split()))


def test_what_hears_sound_is_scored_in_noise(run: Path) -> None:
    chosen = ("--experiments", "labels,modalities", "--labels", "s1_8")
    finish(RECIPE, run, *GRID[:3], *chosen, "--stage", "finetune", "--stop-stage", "evaluate")
    found = {
        system: read_json(run / "scores" / "s1_8" / system / "seed1" / "metrics.json")["noise"]
        for system in ("lips", "sound", "both")
    }
    for system in ("sound", "both"):
        assert [c["snr_db"] for c in found[system]["conditions"]] == [10.0, 0.0, -5.0]
    assert (found["lips"]["heard"], found["lips"]["conditions"]) == (False, [])


def test_a_finished_run_trains_nothing_again(run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run / "train").rglob("*.pt")}
    assert before
    finish(RECIPE, run, *GRID, "--stage", "finetune")
    assert {path: path.stat().st_mtime_ns for path in (run / "train").rglob("*.pt")} == before
