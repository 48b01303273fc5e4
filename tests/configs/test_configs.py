"""Every yaml of every recipe: it composes as in fairseq, its keys are known, every tunable key is listed."""

import argparse
import dataclasses
import functools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairseq.dataclass.configs import FairseqConfig
from fairseq.dataclass.initialize import add_defaults, hydra_init
from fairseq.models import MODEL_DATACLASS_REGISTRY
from fairseq.registry import REGISTRIES
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import MISSING, DictConfig, OmegaConf
from training_plan.choice import Choice, add_choice, choice_of
from training_plan.plan_yaml import read_plan
from training_plan.trainings import one_of_each

import fairseq_ext.models  # noqa: F401 - registers models
import fairseq_ext.tasks  # noqa: F401 - registers tasks and criterions
from fairseq_ext.modules.pretrained_av import SHAPE_KEYS

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
CONFIGS = sorted(RECIPES.glob("*/conf/*.yaml"))
OVERLAYS = sorted(RECIPES.glob("*/conf/*/*.yaml"))
PARSER = argparse.ArgumentParser()
add_choice(PARSER)
GIVEN = {"common.user_dir": "/plugin", "checkpoint.save_dir": "/run", "task.data": "/manifests"}
# What a yaml states first, and how that may be worded.
HEADER = {
    "command": r"run\.sh|fairseq-hydra-train",
    "hardware": r"\b(cores?|CPU|GPUs?|H200|A100)\b",
    "duration": r"\d\s*(s|seconds?|min|minutes?|h|hours?)\b",
    "expected metric": r"expected: [^#]*\d",
}


def name_of(path: Path) -> str:
    """Return recipe and file."""
    return f"{path.relative_to(RECIPES).parts[0]}/{path.stem}"


pytestmark = pytest.mark.filterwarnings("ignore:[\\s\\S]*validated against ConfigStore schema:UserWarning")
every_config = pytest.mark.parametrize("path", CONFIGS, ids=name_of)


@pytest.fixture(autouse=True)
def _own_hydra() -> Iterator[None]:
    yield
    GlobalHydra.instance().clear()


@functools.cache
def composed(path: Path, *overrides: str) -> DictConfig:
    """Return the configuration that fairseq-hydra-train would train with, read-only since it is made once."""
    GlobalHydra.instance().clear()
    hydra_init(path.stem)
    given = [f"{key}={value}" for key, value in GIVEN.items()]
    with initialize_config_dir(config_dir=str(path.parent), version_base="1.1"):
        cfg = compose(config_name=path.stem, overrides=[*given, *overrides])
    # fairseq merges each section with its dataclass; a key that it does not know fails here
    add_defaults(cfg)
    OmegaConf.set_readonly(cfg, True)
    return cfg


def dataclass_of(section: str, name: str) -> Any:
    """Return the dataclass that is registered for a section's `_name`."""
    known = {"task": TASK_DATACLASS_REGISTRY, "model": MODEL_DATACLASS_REGISTRY}
    registry = known.get(section) or REGISTRIES[section]["dataclass_registry"]
    assert name in registry, f"{section}: _name {name!r} is not registered"
    return registry[name]


def differences(section: str, keys: dict[str, Any], config: Any) -> list[str]:
    """List keys of the yaml that the dataclass lacks, and keys of the dataclass that the yaml does not list."""
    # a key whose default is taken from another section is not one to tune
    fields = {
        field.name: field
        for field in dataclasses.fields(config)
        if field.name != "_name" and not str(field.default).startswith("${")
    }
    found = [f"{section}.{key}: unknown" for key in keys if key not in fields and key != "_name"]
    found += [f"{section}.{name}: not listed" for name in fields if name not in keys]
    for name, field in fields.items():
        if isinstance(keys.get(name), dict) and dataclasses.is_dataclass(field.type):
            found += differences(f"{section}.{name}", keys[name], field.type)
    return found


def unresolved(node: Any, path: str = "") -> Iterator[str]:
    """Yield the keys that hold no value."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from unresolved(value, f"{path}.{key}")
    elif isinstance(node, str) and (node == MISSING or "${" in node):
        yield path


def test_there_are_configs() -> None:
    assert CONFIGS


@every_config
def test_composes_with_each_value_resolved(path: Path) -> None:
    cfg = composed(path)
    plain = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
    sections = {key: plain[key] for key in yaml.safe_load(path.read_text(encoding="utf-8"))}
    assert list(unresolved(sections)) == []


@every_config
def test_lists_each_key_of_task_model_and_criterion_and_no_other(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = []
    for section in ("task", "model", "criterion"):
        name = content[section]["_name"]
        assert name.startswith("ext_")
        found += differences(section, content[section], dataclass_of(section, name))
    assert found == []


@every_config
def test_names_optimizer_and_schedule_that_exist(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    for section in ("optimizer", "lr_scheduler"):
        config = dataclass_of(section, content[section]["_name"])
        unknown = set(content[section]) - {field.name for field in dataclasses.fields(config)} - {"_name"}
        assert not unknown


@every_config
def test_is_flat_and_uses_fairseqs_sections(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    # a base listed in `defaults` would override the file that lists it
    assert "defaults" not in content
    assert set(content) <= set(FairseqConfig.__dataclass_fields__)
    for section, keys in content.items():
        default = FairseqConfig.__dataclass_fields__[section].default
        if dataclasses.is_dataclass(default):
            assert set(keys) <= {field.name for field in dataclasses.fields(default)}, section


@every_config
@pytest.mark.parametrize("key", ["task", "model", "criterion"])
def test_a_key_that_is_not_known_fails(path: Path, key: str) -> None:
    with pytest.raises(Exception, match="no_such_key"):
        composed(path, f"+{key}.no_such_key=1")


@every_config
def test_seeds_everything_from_one_key(path: Path) -> None:
    cfg = composed(path, "common.seed=7")
    assert cfg.task.seed == 7


@every_config
def test_trains_a_fixed_number_of_updates_and_keeps_the_last(path: Path) -> None:
    cfg = composed(path)
    assert cfg.optimization.max_update > 0
    assert cfg.checkpoint.patience == -1
    assert not cfg.checkpoint.no_save
    assert not cfg.checkpoint.no_last_checkpoints


def header_of(path: Path) -> str:
    """Return the comment at the top of a yaml, in one line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    return " ".join(line.lstrip("# ") for line in lines[:end])


def wrong_in_header(path: Path, header: str) -> list[str]:
    """List what a header states of another recipe or configuration, as that of a copy does until it is edited."""
    own, recipe = path.relative_to(RECIPES.parent).as_posix(), path.parents[1]
    found = [] if header.startswith(f"{own}: ") else [f"it begins with {header.split()[0]} instead of {own}:"]
    named = re.search(r"recipes/(\w+)/run\.sh", header)
    if not named or named[1] != recipe.name:
        found.append(f"its command is not of recipes/{recipe.name}/run.sh")
    options = re.search(r"--experiments (\S+)", header)
    stage = re.search(r"\(stage (\w+)\)", header)
    plan = read_plan(recipe)
    experiments = set(options[1].split(",") if options else plan.experiments)
    entries = [
        entry
        for entry in plan.trainings.get(stage[1] if stage else "", ())
        if set(entry.experiments) <= experiments
    ]
    if not any(path.stem in (entry.config, *entry.system) for entry in entries):
        found.append(f"its command does not train {path.stem}: plan.yaml has no such entry")
    return found


@every_config
def test_opens_with_command_hardware_duration_and_expected_metric(path: Path) -> None:
    header = header_of(path)
    assert [what for what, pattern in HEADER.items() if not re.search(pattern, header, re.IGNORECASE)] == []


@every_config
def test_header_is_about_its_own_recipe_and_configuration(path: Path) -> None:
    assert wrong_in_header(path, header_of(path)) == []


def expectation(path: Path) -> str:
    """Return the metric that a header states."""
    found = re.search(r"Expected: (.*?)(?: Each key|$)", header_of(path))
    assert found, path
    return found[1]


@every_config
def test_expectation_is_not_copied_from_another_configuration(path: Path) -> None:
    others = {name_of(other): expectation(other) for other in CONFIGS if other != path}
    assert [name for name, stated in others.items() if stated == expectation(path)] == []


def test_header_of_a_copied_yaml_is_refused() -> None:
    source = RECIPES / "spoken_digits" / "conf" / "linear.yaml"
    header = header_of(source)
    assert wrong_in_header(source, header) == []
    assert len(wrong_in_header(source.with_name("rnn.yaml"), header)) == 1  # the name
    assert len(wrong_in_header(RECIPES / "catalan_ssl" / "conf" / "heads.yaml", header)) == 3
    assert len(wrong_in_header(source, header.replace("--experiments supervised", "--experiments loso"))) == 1


def configs_of(overlay: Path) -> list[Path]:
    """Return the configs of an overlay: pretrain.yaml of pretrain_size/, finetune.yaml of finetune_random_size/.

    unpretrained_size/ is for those of the systems whose name ends so.
    """
    beside = sorted(overlay.parent.parent.glob("*.yaml"))
    own = [path for path in beside if overlay.parent.name.startswith(f"{path.stem}_")]
    kind = overlay.parent.name.removesuffix("_size")
    if own or kind in ("size", overlay.parent.name):
        return own or beside
    entries = read_plan(overlay.parents[2]).entries
    configs = {entry.config for entry in entries if any(name.endswith(f"_{kind}") for name in entry.system)}
    assert configs
    return [path for path in beside if path.stem in configs]


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: f"{name_of(path)}-{path.parent.name}")
def test_overlay_fits_the_configs_that_it_is_for(overlay: Path) -> None:
    for path in configs_of(overlay):
        before = composed(path)
        after = composed(path, f"+{overlay.parent.name}={overlay.stem}")
        if overlay.stem == "smoke":
            assert after.optimization.max_update < before.optimization.max_update
        assert set(after) - {overlay.parent.name} == set(before)
        OmegaConf.to_container(after, resolve=True, enum_to_str=True)


@every_config
def test_recordings_are_kept_in_memory_only_without_workers(path: Path) -> None:
    overlays = [overlay for overlay in OVERLAYS if path in configs_of(overlay)]
    for chosen in [[], *[[f"+{overlay.parent.name}={overlay.stem}"] for overlay in overlays]]:
        cfg = composed(path, *chosen)
        # Clips of mouths are kept in a file that worker processes share.
        assert not (cfg.task.get("cache_audio", False) and cfg.dataset.num_workers), chosen


CATALAN = RECIPES / "catalan_ssl" / "conf"
# Baevski et al. 2020, section 4.2; fairseq's wav2vec2_base_librispeech.yaml and the defaults of its model.
BASE_PRETRAINING = {
    "model": {
        "encoder_layers": 12, "encoder_embed_dim": 768, "encoder_ffn_embed_dim": 3072, "encoder_attention_heads": 12,
        "layer_norm_first": False, "conv_pos": 128, "conv_pos_groups": 16, "extractor_mode": "default",
        "conv_bias": False, "feature_grad_mult": 0.1, "dropout": 0.1, "attention_dropout": 0.1,
        "activation_dropout": 0.0, "encoder_layerdrop": 0.05, "dropout_input": 0.1, "dropout_features": 0.1,
        "final_dim": 256, "latent_vars": 320, "latent_groups": 2, "latent_dim": 0, "latent_temp": [2.0, 0.5, 0.999995],
        "logit_temp": 0.1, "num_negatives": 100, "cross_sample_negatives": 0, "mask_prob": 0.65, "mask_length": 10,
        "mask_channel_prob": 0.0,
    },
    "criterion": {"diversity_weight": 0.1, "penalty_weight": 10.0},
    "optimization": {"max_update": 400000, "lr": [0.0005], "clip_norm": 0.0, "update_freq": [1]},
    "optimizer": {"adam_betas": "(0.9,0.98)", "adam_eps": 1e-6, "weight_decay": 0.01},
    "task": {"cache_audio": False, "min_duration_s": 2.0, "max_duration_s": 15.625, "normalize": False},
    "dataset": {"max_tokens": 1400000, "num_workers": 6},
}  # fmt: skip
# fairseq's base_10m.yaml and base_1h.yaml.
BASE_FINETUNING = {
    "model": {
        "encoder_layers": 12, "encoder_embed_dim": 768, "dropout": 0.0, "attention_dropout": 0.0,
        "activation_dropout": 0.1, "encoder_layerdrop": 0.1, "dropout_input": 0.0, "final_dropout": 0.0,
        "feature_grad_mult": 0.0, "freeze_finetune_updates": 10000, "mask_prob": 0.65, "mask_length": 10,
        "mask_channel_prob": 0.25, "mask_channel_length": 64,
    },
    "criterion": {"zero_infinity": True},
    "optimization": {
        "max_update": 13000, "lr": [0.00005], "clip_norm": 0.0, "update_freq": [1], "sentence_avg": True,
    },
    "optimizer": {"adam_betas": "(0.9,0.98)", "adam_eps": 1e-8, "weight_decay": 0.0},
    "lr_scheduler": {"phase_ratio": [0.1, 0.4, 0.5], "final_lr_scale": 0.05},
    "task": {"cache_audio": False},
    "dataset": {"max_tokens": 3200000, "num_workers": 6},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "published"), [("pretrain", BASE_PRETRAINING), ("finetune", BASE_FINETUNING)]
)
def test_catalan_base_is_the_published_one(name: str, published: dict[str, dict[str, Any]]) -> None:
    cfg = composed(CATALAN / f"{name}.yaml", "+size=base", f"+{name}_size=base")
    plain: Any = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
    assert {
        section: {key: plain[section][key] for key in keys} for section, keys in published.items()
    } == published
    assert {key: p for key, p in plain["task"]["augment"].items() if key.endswith("_prob") and p} == {}


def test_catalan_base_trains_random_weights_from_the_first_update() -> None:
    overlays = ("+size=base", "+finetune_size=base", "+finetune_random_size=base")
    cfg = composed(CATALAN / "finetune.yaml", *overlays)
    assert (cfg.model.freeze_finetune_updates, cfg.model.feature_grad_mult) == (0, 1.0)
    assert cfg.optimization.max_update == BASE_FINETUNING["optimization"]["max_update"]


def test_catalan_readme_states_how_far_one_gpu_is_from_the_published_batch() -> None:
    readme = (CATALAN.parent / "README.md").read_text(encoding="utf-8")
    assert 64 * BASE_PRETRAINING["dataset"]["max_tokens"] == 89_600_000  # 64 GPUs
    assert "pretrain.optimization.update_freq=[64]" in readme
    assert "finetune.optimization.update_freq=[8]" in readme  # 2 GPUs, update_freq 4


@pytest.mark.parametrize("locale", ["x!", "basque (eu)"])
def test_catalan_refuses_a_wrong_locale_before_it_writes(tmp_path: Path, locale: str) -> None:
    command = [CATALAN.parent / "run.sh", "--corpus", tmp_path, "--out", tmp_path / "run", "--locale", locale]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert f"--locale {locale}: give a code such as ca or sv-SE" in found.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("system", "config", "overlays"),
    [
        ("wav2vec2", "pretrain", "+size=base +pretrain_size=base"),
        ("ctc_pretrained", "finetune", "+size=base +finetune_size=base"),
        ("ctc_from_random", "finetune", "+size=base +finetune_size=base"),  # --start random=...
        ("ctc_random", "finetune", "+size=base +finetune_size=base +finetune_random_size=base"),
        ("joint_head", "heads", "+size=base"),
    ],
)
def test_catalan_gives_each_training_its_overlays(
    tmp_path: Path, system: str, config: str, overlays: str
) -> None:
    """What --set gives comes last."""
    options = ["--size=base", f"--start=random={tmp_path}", f"--set={config}.a.b=1"]
    plan, choice = (
        read_plan(CATALAN.parent),
        choice_of(PARSER.parse_args([str(CATALAN.parent), "run", *options])),
    )
    found = [t for t in one_of_each(plan, choice, tmp_path) if t.system == system]
    assert {t.config for t in found} == {config}
    assert all(" ".join(t.overrides).endswith(f"{overlays} a.b=1") for t in found)


SIZES = [
    pytest.param(recipe, size, id=f"{recipe.name}-{size}")
    for recipe in sorted(path.parent for path in RECIPES.glob("*/plan.yaml"))
    for size in read_plan(recipe).sizes
]


@pytest.mark.parametrize(("recipe", "size"), SIZES)
def test_every_training_of_a_plan_composes_in_every_size(tmp_path: Path, recipe: Path, size: str) -> None:
    trainings = one_of_each(read_plan(recipe), Choice(size=size, start=("xy=/start.pt",)), tmp_path)
    for training in trainings:
        cfg = composed(recipe / "conf" / f"{training.config}.yaml", *training.overrides)
        assert cfg.optimization.max_update > 0


def test_plan_has_an_entry_for_each_configuration() -> None:
    # The entries that start from these are trained only then.
    given = Choice(whisper="/whisper", start=("x=/encoder",))
    for recipe in {path.parents[1] for path in CONFIGS}:
        trained = {training.config for training in one_of_each(read_plan(recipe), given, recipe)}
        assert trained == {path.stem for path in CONFIGS if path.parents[1] == recipe}


@pytest.mark.parametrize("size", ["", "small", "base", "large"])
@pytest.mark.parametrize("config", ["finetune", "talks"])
def test_lip_reader_without_pretraining_is_the_network_of_pretraining(config: str, size: str) -> None:
    recipe = RECIPES / "vsr_low_resource"
    plan, choice = read_plan(recipe), Choice(size=size, experiments="pretraining")
    trainings = {(t.config, t.system): t for t in one_of_each(plan, choice, Path("/run"))}
    overrides = {
        name: [text for text in trainings[name].overrides if "pretrained_path" not in text]
        for name in ((config, "lips_unpretrained"), ("pretrain", "av_hubert_1"))
    }
    ours, pretrained = (
        composed(recipe / "conf" / f"{name[0]}.yaml", *overrides[name]).model for name in overrides
    )
    shape = {key: pretrained[key] for key in SHAPE_KEYS if key in pretrained}
    assert {key: ours[key] for key in shape} == shape
    assert ours.encoder_type == "transformer"
