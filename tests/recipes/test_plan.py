"""tools/plan.py: which trainings a recipe's plan gives for the options of a command."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from plan import main
from training_plan.choice import Choice, check_choice, in_one_line
from training_plan.plan_yaml import read_plan
from training_plan.trainings import check_starts, stage_trainings, tool_options

Plan = Callable[..., Path]
ENTRY = {"system": "net", "partitions": "published"}


@pytest.fixture
def recipe(tmp_path: Path) -> Plan:
    """Write a recipe with a plan of one stage, `train`, and a run with manifests; return the recipe's folder."""

    def write(*entries: dict[str, object], **plan: object) -> Path:
        for name in ("published", "labels/1", "labels/2", "asr", "asr_10min", "asr_1h"):
            folder = tmp_path / "run" / "manifests" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "valid.tsv").touch()
        (tmp_path / "conf" / "size").mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / "net.yaml").touch()
        text = yaml.safe_dump({"trainings": {"train": list(entries)}, **plan}, sort_keys=False)
        (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def names(recipe: Path, **choice: object) -> list[str]:
    """Return partition, system and seed of what the stage trains."""
    options = Choice(**choice)  # type: ignore[arg-type]
    return [str(t) for t in stage_trainings(read_plan(recipe), "train", options, recipe / "run")]


def overrides(recipe: Path, **choice: object) -> list[str]:
    """Return the overrides of the only training."""
    options = Choice(**choice)  # type: ignore[arg-type]
    (training,) = stage_trainings(read_plan(recipe), "train", options, recipe / "run")
    return list(training.overrides)


def test_an_entry_takes_some_of_the_partitions_that_labels_chooses(recipe: Plan) -> None:
    folder = recipe({**ENTRY, "partitions": "--labels", "among": "asr*"}, labels=["asr*", "labels/*"])
    assert names(folder) == ["asr/net seed 1", "asr_10min/net seed 1", "asr_1h/net seed 1"]
    assert names(folder, labels="asr_1*,labels/1") == ["asr_10min/net seed 1", "asr_1h/net seed 1"]


def test_an_entry_is_a_training_per_seed_partition_and_system(recipe: Plan) -> None:
    folder = recipe({"system": ["a", "b"], "partitions": "labels/*"}, {**ENTRY, "seeds": 1})
    assert names(folder, seeds=2) == [
        *("labels/1/a seed 1", "labels/1/b seed 1", "labels/2/a seed 1", "labels/2/b seed 1"),
        "published/net seed 1",
        *("labels/1/a seed 2", "labels/1/b seed 2", "labels/2/a seed 2", "labels/2/b seed 2"),
    ]


def test_overrides_may_name_the_systems(recipe: Plan) -> None:
    folder = recipe(
        {"partitions": "published", "config": "net", "overrides": {"a": "x.y=1", "b": ["x.y=2", "z=3"]}}
    )
    found = stage_trainings(read_plan(folder), "train", Choice(), folder / "run")
    assert [(t.system, t.config, t.overrides) for t in found] == [
        ("a", "net", ("x.y=1",)),
        ("b", "net", ("x.y=2", "z=3")),
    ]
    with pytest.raises(ValueError, match="train, entry 1: the overrides name the systems; leave system out"):
        read_plan(recipe({**ENTRY, "overrides": {"a": "x.y=1"}}))


def test_partitions_that_the_run_lacks_are_left_out(recipe: Plan) -> None:
    assert names(recipe({**ENTRY, "partitions": ["accent", "published"]})) == ["published/net seed 1"]


def test_entries_are_for_all_of_their_experiments(recipe: Plan) -> None:
    both = {**ENTRY, "system": "both", "experiments": ["x", "y"]}
    folder = recipe({**ENTRY, "experiments": "x"}, both, experiments=["x"])
    assert names(folder) == ["published/net seed 1"]
    assert names(folder, experiments="x,y") == ["published/net seed 1", "published/both seed 1"]
    assert names(folder, experiments="y") == []


def test_one_seed_and_small_sizes_take_fewer_partitions(recipe: Plan) -> None:
    folder = recipe(
        {**ENTRY, "partitions": "asr*", "one_seed_partitions": 2},
        sizes={"smoke": {"partitions_per_pattern": 1}},
    )
    assert names(folder) == ["asr/net seed 1", "asr_10min/net seed 1"]
    assert len(names(folder, seeds=2)) == 6
    assert names(folder, size="huge", smoke=True) == ["asr/net seed 1"]


def test_labels_choose_partitions_in_their_order(recipe: Plan) -> None:
    folder = recipe(
        {**ENTRY, "partitions": "--labels"}, labels=["asr", "asr_*"], sizes={"demo": {"labels": "asr"}}
    )
    assert names(folder) == [f"{name}/net seed 1" for name in ("asr", "asr_10min", "asr_1h")]
    assert names(folder, labels="asr_1h,asr_*,asr_9*") == ["asr_1h/net seed 1", "asr_10min/net seed 1"]
    assert names(folder, size="demo") == ["asr/net seed 1"]
    assert names(folder, size="demo", labels="asr_1h") == ["asr_1h/net seed 1"]


@pytest.mark.parametrize("labels", ["asr,asr_10mn", "published", "asr_9*"])
def test_labels_that_are_not_there_are_refused(recipe: Plan, labels: str) -> None:
    folder = recipe({**ENTRY, "partitions": "--labels"}, labels=["asr", "asr_*"])
    with pytest.raises(ValueError, match=r"--labels .*; choose from asr asr_10min asr_1h$"):
        names(folder, labels=labels)


def test_a_corpus_without_any_partition_to_train_on_says_what_is_there(recipe: Plan) -> None:
    folder = recipe({**ENTRY, "partitions": "--labels"}, labels=["fr*", "it*"])
    with pytest.raises(
        ValueError, match=r"nothing in .* matches; there is only .*asr.*; is the corpus too small"
    ):
        names(folder)


def test_a_start_is_the_checkpoint_of_the_same_seed(recipe: Plan) -> None:
    folder = recipe({**ENTRY, "start": "ssl/w"})
    trainings = stage_trainings(read_plan(folder), "train", Choice(seeds=2), folder / "run")
    expected = [folder / "run" / "train" / "ssl" / "w" / f"seed{k}" / "checkpoint_last.pt" for k in (1, 2)]
    assert [t.start for t in trainings] == expected
    assert trainings[0].overrides == (f"model.pretrained_path='{expected[0]}'",)
    with pytest.raises(FileNotFoundError, match=f"no checkpoint {expected[0]}; run stage pretrain first"):
        check_starts(trainings)


def test_a_given_checkpoint_replaces_the_training_that_others_start_from(recipe: Plan) -> None:
    folder = recipe({**ENTRY, "start": "published/w"}, {**ENTRY, "system": "w"})
    given = str(folder / "given.pt")
    assert overrides(folder, pretrained=given) == [f"model.pretrained_path='{given}'"]


def test_a_star_stands_for_each_further_start(recipe: Plan) -> None:
    folder = recipe({**ENTRY, "system": "from_*", "start": "ssl/w"})
    (folder / "es").mkdir()
    (folder / "en.pt").touch()
    starts = (f"es={folder / 'es'}", f"en={folder / 'en.pt'}")
    trainings = stage_trainings(read_plan(folder), "train", Choice(start=starts), folder / "run")
    found = {t.system: t.start for t in trainings}
    assert found == {
        "from_es": folder / "es" / "train" / "ssl" / "w" / "seed1" / "checkpoint_last.pt",
        "from_en": folder / "en.pt",
    }
    with pytest.raises(FileNotFoundError, match=r"--start es=.*pre-train as many --seeds there"):
        check_starts(trainings)


def test_a_star_without_a_start_takes_encoders_alone(recipe: Plan, tmp_path: Path) -> None:
    folder = recipe({**ENTRY, "system": "*_finetuned"}, {**ENTRY, "system": "from_*", "start": "ssl/w"})
    encoder = tmp_path / "whisper"
    encoder.mkdir()
    (encoder / "config.json").touch()
    assert names(folder) == []
    options = Choice(start=(f"base={encoder}",))
    trainings = stage_trainings(read_plan(folder), "train", options, folder / "run")
    assert {t.system: t.start for t in trainings} == {"base_finetuned": encoder, "from_base": encoder}
    check_starts(trainings)


def test_entries_that_start_from_a_whisper_need_its_folder(recipe: Plan, tmp_path: Path) -> None:
    folder = recipe({**ENTRY, "start": "--whisper"}, {**ENTRY, "system": "other"})
    assert names(folder) == ["published/other seed 1"]
    whisper = tmp_path / "whisper"
    whisper.mkdir()
    with pytest.raises(ValueError, match=r"--whisper .*: no config\.json; give the folder of a Whisper"):
        check_choice(read_plan(folder), Choice(whisper=str(whisper)))
    (whisper / "config.json").touch()
    check_choice(read_plan(folder), Choice(whisper=str(whisper)))
    options = Choice(whisper=str(whisper), pretrained="start.pt")
    first, _ = stage_trainings(read_plan(folder), "train", options, folder / "run")
    assert first.overrides == (f"model.pretrained_path='{whisper}'",)
    check_starts([first])
    assert in_one_line(options).endswith(f" whisper={whisper}")
    assert "whisper" not in in_one_line(Choice())  # as in run folders from before


def test_settings_follow_overlays_and_the_command_line_comes_last(recipe: Plan) -> None:
    folder = recipe(
        {**ENTRY, "overrides": "task.label=x"}, sizes={"demo": {"settings": ["net.a=1", "other.a=1"]}}
    )
    (folder / "conf" / "size" / "demo.yaml").touch()
    found = overrides(folder, size="demo", set=("net.a=2",))
    assert found == ["task.label=x", "+size=demo", "a=1", "a=2"]
    assert overrides(folder) == ["task.label=x"]


def test_without_a_validation_split_there_is_no_validation(recipe: Plan) -> None:
    folder = recipe(ENTRY)
    (folder / "run" / "manifests" / "published" / "valid.tsv").unlink()
    assert overrides(folder) == ["dataset.disable_validation=true"]


def test_a_size_replaces_the_options_of_a_tool(recipe: Plan) -> None:
    sizes = {
        "default": {"tools": {"a": {"n": 1, "m": 2}, "b": {"n": [3, 4]}}},
        "demo": {"tools": {"a": {"yes": True}}},
    }
    plan = read_plan(recipe(sizes=sizes))
    assert tool_options(plan, "a", Choice()) == ["--n", "1", "--m", "2"]
    assert tool_options(plan, "a", Choice(size="demo")) == ["--yes"]
    assert tool_options(plan, "b", Choice(size="demo")) == ["--n", "3", "4"]
    assert tool_options(plan, "c", Choice()) == []


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"experiments": "x,y"}, "--experiments y: no such experiment; choose from x"),
        ({"size": "huge"}, "--size huge: no such size; choose from demo, or add conf/size/huge.yaml"),
        ({"pretrained": "/no/such.pt"}, "--pretrained /no/such.pt: no such file"),
        ({"start": ("es=/no/such",)}, "--start es=/no/such: no such checkpoint or run folder"),
        ({"start": ("ES=/",)}, "--start ES=/: expected NAME=FROM"),
        ({"start": ("es=/", "es=/")}, "--start es=/: this NAME was given before"),
        ({"set": ("lr=1",)}, "--set lr=1: expected CONFIG.KEY=VALUE with a CONFIG of net"),
        ({"set": ("other.lr=1",)}, "--set other.lr=1: expected CONFIG.KEY=VALUE with a CONFIG of net"),
    ],
)
def test_options_that_make_no_sense_are_refused(recipe: Plan, choice: dict[str, str], message: str) -> None:
    plan = read_plan(recipe({**ENTRY, "experiments": "x"}, sizes={"default": {}, "demo": {}}))
    with pytest.raises(ValueError, match=f"^{message}"):
        check_choice(plan, Choice(**choice))  # type: ignore[arg-type]


def test_a_hugging_face_folder_is_to_be_converted_first(recipe: Plan) -> None:
    folder = recipe(ENTRY)
    (folder / "config.json").touch()
    with pytest.raises(ValueError, match=r"run tools/convert_checkpoint\.py"):
        check_choice(read_plan(folder), Choice(pretrained=str(folder)))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {**ENTRY, "partition": "x"},
            "plan.yaml: train, entry 1: unknown key 'partition'; choose from system, ",
        ),
        ({"system": "net"}, "plan.yaml: train, entry 1: .*'partitions'"),
        ("net", "plan.yaml: train, entry 1: expected keys with values, found 'net'"),
    ],
)
def test_mistakes_in_a_plan_are_named_with_their_place(recipe: Plan, entry: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_plan(recipe(entry))


def test_what_is_trained_can_be_printed(
    recipe: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = recipe({**ENTRY, "partitions": "labels/*"}, {**ENTRY, "system": "other"})
    for arguments, expected in (
        (("trainings", "train", "--system", "other"), "published/other seed 1\tother.yaml\n"),
        (("partitions", "train", "--system", "net"), "labels/1\nlabels/2\n"),
        (("choice",), "size= pretrained= smoke=false  \n"),
        (("check",), ""),
    ):
        monkeypatch.setattr("sys.argv", ["plan.py", str(folder), str(folder / "run"), *arguments])
        main()
        assert capsys.readouterr().out == expected
    monkeypatch.setattr("sys.argv", ["plan.py", str(folder), str(folder / "run"), "trainings", "tune"])
    with pytest.raises(SystemExit, match="no stage tune; choose from train"):
        main()
