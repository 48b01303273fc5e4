"""Paths as Hydra's arguments: every kind of name arrives as it is, or is refused before anything is made."""

import subprocess
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from training_plan.hydra_overrides import override, refuse_path

NAMES = [
    "plain", "it's", 'say "hi"', "both ' and \"", "a # b", "a,b", "a$b", "$HOME", "a;b", "key=value", "{x}", "[1,2]",
    "(x)", " around ", "-dash", "--out", "日本語", "català·l", "e\u0301", "😀", "نوع\u200cها", "back\\slash", "a\\'b",
    "end\\", "end\\\\", "*", "a?b", "50%", "%(x)s", "~home", "!x", "a&b", "a|b", "a`b`", "a<b>c", "@x", "+x", "null",
    "true", "1e5", "007", "''", "{}", "$", "$$", "a\u00a0b",
]  # fmt: skip
REFUSED = {
    "${oc.env:HOME}": r"the path has '\$\{', which fairseq replaces",
    "\\${x}": r"the path has '\$\{', which fairseq replaces",
    "a:b": "the path has ':', at which fairseq divides it",
    "a\nb": r"the path has '\\n', which manifests cannot hold",
    "a\tb": r"the path has '\\t', which manifests cannot hold",
    "a\x1b[31mb": r"the path has '\\x1b', which manifests cannot hold",
    "a\udcffb": r"the path has '\\udcff', which manifests cannot hold",
    "a\u2028b": r"the path has '\\u2028', which manifests cannot hold",
}


@pytest.fixture(scope="module")
def parser() -> OverridesParser:
    """Return Hydra's own parser."""
    return OverridesParser.create()


@pytest.mark.parametrize("place", ["{}", "/runs/{}", "/runs/{}/train/asr/seed1"])
def test_a_name_arrives_as_it_is(parser: OverridesParser, place: str) -> None:
    for name in NAMES:
        path = place.replace("{}", name)
        refuse_path(Path(path), "--out", is_data=True)
        config = OmegaConf.create({"checkpoint": {"save_dir": "???"}})
        found = parser.parse_override(override("checkpoint.save_dir", path))
        OmegaConf.update(config, found.key_or_group, found.value())
        # as fairseq_cli/hydra_train.py does
        config = OmegaConf.create(OmegaConf.to_container(config, resolve=True, enum_to_str=True))
        assert config.checkpoint.save_dir == path


@pytest.mark.parametrize("name", REFUSED)
def test_what_training_cannot_take_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^--out '/runs/.*': {REFUSED[name]}.*; choose another$"):
        refuse_path(Path("/runs") / name / "train", "--out", is_data=True)


def test_a_checkpoint_may_have_a_colon() -> None:
    refuse_path(Path("a:b.pt"), "--pretrained")


def test_a_run_refuses_before_it_makes_anything(tmp_path: Path) -> None:
    run_sh = Path(__file__).resolve().parents[2] / "recipes" / "TEMPLATE" / "run.sh"
    command = [str(run_sh), "--smoke", "--corpus", "synthetic", "--out", "${oc.env:HOME}"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    path = tmp_path / "${oc.env:HOME}"
    assert found.stderr.startswith(
        f"recipes/TEMPLATE/run.sh: --out '{path}': the path has '${{', which fairseq"
    )
    assert not list(tmp_path.iterdir())
