"""Every recipe from nothing to its report on the built-in corpus; interrupted; asked for nonsense."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from fairseq_ext.analysis.results import stale_results_page
from fairseq_ext.files import read_lines
from fairseq_ext.manifest import read_manifest
from fairseq_ext.media.mouth.table import read_clips

pytestmark = pytest.mark.recipe

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPES = sorted(path.parent for path in (REPOSITORY / "recipes").glob("*/run.sh"))
TOOLS = sorted((REPOSITORY / "tools").glob("*.py"))
SMOKE = ("--smoke", "--corpus", "synthetic")
DIGITS = REPOSITORY / "recipes" / "spoken_digits"
CATALAN = REPOSITORY / "recipes" / "catalan_ssl"
LIPS = REPOSITORY / "recipes" / "vsr_low_resource"
CLIP_FILES = {"video": "mp4", "audio": "wav", "landmarks": "npz"}
# What a run that was interrupted may say differently.
CIRCUMSTANCES = ("command", "train_s", "commit")

every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: str(path.name))
Run = Callable[..., Path]


def launch(recipe: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """Start run.sh in a process group of its own."""
    log = (out.parent / f"{out.name}.log").open("w", encoding="utf-8")
    return subprocess.Popen(
        [str(recipe / "run.sh"), "--out", str(out), *options],
        cwd=out.parent,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait(process: subprocess.Popen[str], timeout_s: float) -> int:
    """Exit status; what takes too long is killed with its children."""
    try:
        return process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def finish(recipe: Path, out: Path, *options: str) -> str:
    """Run to the end; the output."""
    status = wait(launch(recipe, out, *options), 580)
    text = (out.parent / f"{out.name}.log").read_text(encoding="utf-8")
    assert status == 0, f"exit status {status}:\n{text[-4000:]}"
    return text


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Folder of a recipe's finished smoke run, made once."""
    finished: dict[Path, Path] = {}

    def run(recipe: Path) -> Path:
        if recipe not in finished:
            out = tmp_path_factory.mktemp(recipe.name) / "run"
            finish(recipe, out, *SMOKE)
            finished[recipe] = out
        return finished[recipe]

    return run


def results(out: Path) -> dict[str, Any]:
    """results.json of a run."""
    found: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return found


@every_recipe
def test_smoke_ends_with_results_and_report(recipe: Path, smoke: Run) -> None:
    out = smoke(recipe)
    rows = results(out)["rows"]
    assert rows
    assert {row["data"] for row in rows} == {"synthetic"}
    assert stale_results_page(out) is None
    assert "synthetic" in (out / "RESULTS.md").read_text(encoding="utf-8")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert not re.findall(
        r"""(?:src|href)=["']https?://[^"']+\.(?:js|css|png|woff2?)""", page
    )  # self-contained


@every_recipe
def test_every_training_has_its_row(recipe: Path, smoke: Run) -> None:
    out = smoke(recipe)
    trained = {path.parent.relative_to(out / "train") for path in (out / "train").rglob("done")}
    scored = {path.parent.relative_to(out / "rows") for path in (out / "rows").rglob("metrics.json")}
    elsewhere = {path for path in trained if path.parts[-2] == "simclr"}  # scored by its probes
    elsewhere |= {
        path for path in trained if path.parts[0] == "accent_gender"
    }  # scored as accent and as gender
    assert trained - elsewhere <= scored
    listed = {(row["protocol"], row["row"], row["seed"]) for row in results(out)["rows"]}
    assert listed == {
        ("/".join(p.parts[:-2]), p.parts[-2], int(p.parts[-1].removeprefix("seed"))) for p in scored
    }


def test_digits_cover_every_protocol_and_system(smoke: Run) -> None:
    found = {(row["protocol"].split("/")[0], row["row"]) for row in results(smoke(DIGITS))["rows"]}
    best = re.search(r"^best=(\w+)", (DIGITS / "run.sh").read_text(encoding="utf-8"), re.MULTILINE)
    assert best
    systems = {"linear", "rnn", "lstm", "temporal_cnn", best[1]}
    expected = {("published", name) for name in systems}
    expected |= {(protocol, best[1]) for protocol in ("one_speaker", "loso", "leaky")}
    expected |= {(protocol, "temporal_cnn") for protocol in ("one_speaker", "labels")}
    for protocol in ("published", "one_speaker", "labels"):
        expected |= {(protocol, name) for name in ("simclr_probe", "untrained_probe", "simclr_finetune")}
        expected |= {(protocol, name) for name in ("simclr_probe_centred", "untrained_probe_centred")}
    assert expected <= found


def test_catalan_covers_every_system(smoke: Run) -> None:
    found = {(row["protocol"], row["row"]) for row in results(smoke(CATALAN))["rows"]}
    expected = {("ssl", "wav2vec2"), ("asr", "ctc_pretrained"), ("asr", "ctc_random")}
    for protocol in ("accent", "gender", "accent_leaky", "gender_leaky"):
        expected |= {(protocol, "encoder_head"), (protocol, "majority")}
    expected |= {("accent", "joint_head"), ("gender", "joint_head")}
    assert found == expected


def test_catalan_compares_at_equal_updates_with_and_without_language_model(smoke: Run) -> None:
    rows = [row for row in results(smoke(CATALAN))["rows"] if row["protocol"] == "asr"]
    assert len({row["num_updates"] for row in rows}) == 1
    assert len({row["num_parameters"] for row in rows}) == 1
    assert all(set(row["decoders"]) == {"greedy", "lm"} for row in rows)


def test_catalan_explains_both_recognisers(smoke: Run) -> None:
    out = smoke(CATALAN)
    for row in ("ctc_pretrained", "ctc_random"):
        assert (out / "attribution" / f"asr-{row}-seed1-hit_rates.json").exists()
    assert "pointing" in (out / "RESULTS.md").read_text(encoding="utf-8").lower()


def speakers(out: Path, protocol: str, *splits: str) -> set[str]:
    """Who is heard in splits of a manifest folder."""
    read = (read_manifest(out / "manifests" / protocol, split) for split in splits)
    return {str(utterance.speaker) for utterance in chain.from_iterable(read)}


def test_catalan_trainings_hear_no_held_out_speaker(smoke: Run) -> None:
    out = smoke(CATALAN)
    tested = {protocol: speakers(out, protocol, "valid", "test") for protocol in ("asr", "accent", "gender")}
    held_out = set[str]().union(*tested.values())
    assert all(tested.values())
    for protocol in ("ssl", "asr", "asr_0.3min", "accent", "gender"):
        assert not speakers(out, protocol, "train") & held_out, protocol


def test_catalan_folder_keeps_one_choice_of_settings(smoke: Run) -> None:
    out = smoke(CATALAN)
    process = launch(CATALAN, out, *SMOKE, "--stage", "finetune", "--set", "finetune.model.dropout=0")
    assert wait(process, 60) != 0
    assert "choose another --out" in (out.parent / f"{out.name}.log").read_text(encoding="utf-8")


def test_catalan_fine_tunes_a_given_checkpoint(smoke: Run, tmp_path: Path) -> None:
    done = smoke(CATALAN)
    shutil.copytree(done / "manifests", tmp_path / "run" / "manifests")
    given = done / "train" / "ssl" / "wav2vec2" / "seed1" / "checkpoint_last.pt"
    stages = ("--stage", "pretrain", "--stop-stage", "finetune")
    rates = ("--set", "finetune.model.layer_decay=0.5")
    finish(CATALAN, tmp_path / "run", *SMOKE, *stages, *rates, "--pretrained", str(given))
    assert not (tmp_path / "run" / "train" / "ssl").exists()
    log = tmp_path / "run" / "train" / "asr" / "ctc_pretrained" / "seed1" / "stdout.log"
    assert str(given) in log.read_text(encoding="utf-8")


def test_catalan_command_that_was_refused_decides_nothing(tmp_path: Path) -> None:
    (tmp_path / "cv").mkdir()
    (tmp_path / "cv" / "validated.tsv").write_text("client_id\tpath\tsentence\tlocale\na\tb.mp3\tHola.\tca\n")
    (tmp_path / "old").mkdir()
    corpus = ("--corpus", str(tmp_path / "cv"), "--stop-stage", "data")
    for options, message in (
        ((*corpus, "--locale", "cat"), "language 'cat': 'ca' expected"),
        ((*corpus, "--start", f"gl={tmp_path / 'old'}"), "--start gl="),
        (("--stage", "audio"), "run stage data first"),
        (("--stage", "manifests"), "run stage data first"),
        (("--stage", "pretrain"), "run stage manifests first"),
        (("--stage", "heads"), "run stage manifests first"),
    ):
        assert wait(launch(CATALAN, tmp_path / "run", *options), 60) != 0
        lines = (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()
        assert message in lines[-1]
        assert len(lines) == 2  # the stage's name, and why not
        assert not (tmp_path / "run" / "settings.txt").exists()
    finish(CATALAN, tmp_path / "run", *corpus)
    assert wait(launch(CATALAN, tmp_path / "run", "--stage", "manifests", "--division", "drawn"), 60) != 0
    assert "choose another --out" in (tmp_path / "run.log").read_text(encoding="utf-8")


def test_catalan_divides_as_it_is_told(smoke: Run, tmp_path: Path) -> None:
    done, out = smoke(CATALAN), tmp_path / "run"
    shutil.copytree(done / "audio", out / "audio")
    divided = ("--division", "drawn", "--keep-shared-sentences", "--stop-stage", "manifests")
    finish(CATALAN, out, "--smoke", "--corpus", str(done / "corpus"), *divided)
    assert "division=drawn keep-shared-sentences" in (out / "settings.txt").read_text(encoding="utf-8")
    assert speakers(out, "asr", "test")
    assert speakers(out, "asr", "test") != speakers(done, "asr", "test")
    sentences = [set(read_lines(out / "manifests" / "asr" / f"{split}.wrd")) for split in ("train", "test")]
    assert sentences[0] & sentences[1]


def clip_rows(out: Path) -> dict[str, Any]:
    """Rows of clips.tsv by id."""
    return {row.id: row for row in read_clips(out / "clips", status=None)}


def test_lips_clips_are_whole_and_planted_accidents_are_rejected(smoke: Run) -> None:
    out = smoke(LIPS)
    rows = clip_rows(out)
    for name, row in rows.items():
        made = [(out / "clips" / f"{kind}/{name}.{end}").is_file() for kind, end in CLIP_FILES.items()]
        assert made == [row.status == "ok"] * 3, name
    assert {"cut_off", "unreadable", "no_video"} <= {row.reason for row in rows.values()}
    assert sum(row.status == "ok" for row in rows.values()) > 40


def test_lips_automatic_labels_only_train(smoke: Run) -> None:
    out = smoke(LIPS)
    for language in ("it", "pt", "multilingual"):
        folder = out / "manifests" / language
        for split in ("valid", "test"):
            sources = (folder / f"{split}.label_source").read_text(encoding="utf-8").split()
            assert sources
            assert set(sources) == {"human"}
        held_out = speakers(out, language, "valid", "test")
        assert held_out
        assert not speakers(out, language, "train") & held_out


def test_lips_filters_change_without_decoding(smoke: Run) -> None:
    out = smoke(LIPS)
    table, rows = (
        (out / "labels" / "labels.tsv").read_bytes(),
        out / "manifests" / "multilingual" / "train.tsv",
    )
    before = rows.read_bytes()
    finish(LIPS, out, *SMOKE, "--stage", "labels", "--filters", "--min-avg-logprob 0")
    sources = rows.with_suffix(".label_source").read_text(encoding="utf-8").split()
    assert set(sources) == {"human"}
    finish(LIPS, out, *SMOKE, "--stage", "labels", "--update")
    assert rows.read_bytes() == before
    assert (out / "labels" / "labels.tsv").read_bytes() == table


def test_lips_clips_of_a_killed_run_are_the_same(smoke: Run, tmp_path: Path) -> None:
    done, out = smoke(LIPS), tmp_path / "run"
    stages = ("--corpus", str(done / "corpus"), "--smoke", "--stop-stage", "clips")
    process = launch(LIPS, out, *stages)
    while len(list((out / "clips").rglob("*.mp4"))) < 5:
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    shards = [("--cluster", f"--shards 2 --shard-id {i} --workers 1") for i in (0, 1)]
    assert "this shard has done its part" in finish(LIPS, out, *stages, *shards[0])
    assert not (out / "clips" / "clips.tsv").exists()
    finish(LIPS, out, *stages, *shards[1])
    assert (out / "clips" / "clips.tsv").read_bytes() == (done / "clips" / "clips.tsv").read_bytes()
    for path in (done / "clips" / "video").rglob("*.mp4"):
        assert (out / path.relative_to(done)).read_bytes() == path.read_bytes(), path


@pytest.mark.parametrize(
    ("option", "value"),
    [("--size", "enormous"), ("--pretrained", "/no/such.pt"), ("--set", "lr=1"), ("--set", "tune.lr=1")],
)
def test_catalan_refuses_options_without_sense(tmp_path: Path, option: str, value: str) -> None:
    assert wait(launch(CATALAN, tmp_path / "run", *SMOKE, option, value), 60) != 0
    lines = (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1
    assert f"{option} {value}: " in lines[0]
    assert not (tmp_path / "run").exists()


def files_of(out: Path) -> dict[str, int]:
    """When each checkpoint and row was written."""
    paths = [*(out / "train").rglob("*.pt"), *(out / "rows").rglob("*")]
    return {str(path): path.stat().st_mtime_ns for path in paths if path.is_file()}


@every_recipe
def test_finished_run_has_nothing_left_to_do(recipe: Path, smoke: Run) -> None:
    out = smoke(recipe)
    before, page = files_of(out), (out / "RESULTS.md").read_bytes()
    finish(recipe, out, *SMOKE)
    assert files_of(out) == before
    assert (out / "RESULTS.md").read_bytes() == page


def figures(out: Path, protocol: str) -> list[dict[str, Any]]:
    """The rows of a protocol that supervised training gives, without what circumstances change."""
    rows = [row for row in results(out)["rows"] if row["protocol"] == protocol and "sim" not in row["row"]]
    kept = [row for row in rows if "probe" not in row["row"]]
    return [{key: value for key, value in row.items() if key not in CIRCUMSTANCES} for row in kept]


def kill_while_training(out: Path, *options: str) -> Iterator[str]:
    """SIGKILL run.sh at some moment of the train stage, more than once."""
    moment = random.Random(8)
    for _ in range(2):
        process = launch(DIGITS, out, *options)
        log = out.parent / f"{out.name}.log"
        while "trainings, " not in (log.read_text(encoding="utf-8") if log.exists() else ""):
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(moment.uniform(4, 25))
        yield "finished" if process.poll() is not None else "killed"
        process.send_signal(signal.SIGKILL)  # run.sh alone: its trainings must notice by themselves
        process.wait()


def test_killed_run_continues_to_the_same_figures(smoke: Run, tmp_path: Path) -> None:
    options = (*SMOKE, "--parts", "supervised")
    assert "killed" in list(kill_while_training(tmp_path / "run", *options))
    finish(DIGITS, tmp_path / "run", *options)
    killed = figures(tmp_path / "run", "published")
    assert len(killed) == 5
    assert killed == figures(smoke(DIGITS), "published")


@every_recipe
def test_help_tells_options_and_stages(recipe: Path, tmp_path: Path) -> None:
    text = finish(recipe, tmp_path / "none", "--help")
    for option in ("--corpus", "--out", "--stage", "--smoke", "--seeds"):
        assert option in text
    assert re.search(r"stages: 0 \w+", text)
    assert not (tmp_path / "none").exists()


WRONG = [
    pytest.param(("--no-such-option", "1"), r"--no-such-option: no such option", id="option"),
    pytest.param(("--stage", "nowhere"), r"nowhere: no such stage; expected one of: 0 ", id="stage"),
    pytest.param(("--stop-stage", "99"), r"99: no such stage", id="stop-stage"),
    pytest.param(("--corpus",), r"--corpus: a value expected", id="value"),
    pytest.param((), r"--corpus expected", id="no-corpus"),
    pytest.param(("--corpus", "/no/such/folder"), r"--corpus.*/no/such/folder", id="missing-corpus"),
    pytest.param((*SMOKE, "--seeds", "many"), r"--seeds many: ", id="seeds"),
    pytest.param((*SMOKE, "--jobs", "0"), r"--jobs 0: ", id="jobs"),
]


@every_recipe
@pytest.mark.parametrize(("options", "message"), WRONG)
def test_nonsense_ends_with_one_line(
    recipe: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "run"
    assert wait(launch(recipe, out, *options), 60) != 0
    lines = (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()
    complaints = [line for line in lines if not re.match(r"\[\d\d:\d\d\] stage", line)]
    assert len(complaints) == 1
    assert re.search(message, complaints[0])
    assert complaints[0].startswith(f"recipes/{recipe.name}/run.sh: ")


def test_unknown_part_is_refused(tmp_path: Path) -> None:
    process = launch(DIGITS, tmp_path / "run", *SMOKE, "--parts", "supervised,everything")
    assert wait(process, 60) != 0
    assert "everything" in (tmp_path / "run.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("tool", TOOLS, ids=lambda path: str(path.name))
def test_tool_explains_itself_without_fairseq(tool: Path) -> None:
    program = [sys.executable, "-X", "importtime", str(tool), "--help"]
    result = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.startswith("usage:")
    assert not re.findall(r"\| +(fairseq|torch)$", result.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in (REPOSITORY / "recipes").rglob("results.json")}), ids=str
)
def test_committed_results_page_is_what_its_figures_give(folder: Path) -> None:
    assert stale_results_page(folder) is None


@every_recipe
def test_recipe_is_executable(recipe: Path) -> None:
    assert os.access(recipe / "run.sh", os.X_OK)
