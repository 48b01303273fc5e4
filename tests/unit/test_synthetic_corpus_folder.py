"""The folder of a synthetic corpus: its label, recordings made once, files removed between calls, failures."""

import json
import runpy
import sys
from functools import partial
from pathlib import Path

import pytest

from fairseq_ext import synthetic
from fairseq_ext.synthetic.corpus_folder import claim, making

pytest.importorskip("espeakng_loader", reason="needs pip install -e .[synthetic]")

NAMES = ["a", "b", "c"]


def make(folder: Path, broken: str, name: str) -> dict[str, str]:
    if name == broken:
        raise ValueError("no voice")
    with open(folder / "calls", "a") as calls:
        calls.write(name)
    (folder / name).write_text(name)
    return {"said": name * 2}


def make_all(folder: Path, *, broken: str = "", fail_after: bool = False) -> dict[str, str]:
    is_there = lambda name: (folder / name).exists()  # noqa: E731
    options = {"is_there": is_there, "title": "letters", "progress": False}
    with making(folder, NAMES, partial(make, folder, broken), **options) as made:
        if fail_after:
            raise OSError("no room for the table")
        return {name: result["said"] for name, result in made.items()}


def test_results_are_returned_and_the_job_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".partial-12.wav").write_bytes(b"of a killed call")
    assert make_all(tmp_path) == {"a": "aa", "b": "bb", "c": "cc"}
    assert {path.name for path in tmp_path.iterdir()} == {*NAMES, "calls"}


def test_only_removed_recordings_are_made_again_when_the_tables_failed(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no room"):
        make_all(tmp_path, fail_after=True)
    (tmp_path / "b").unlink()
    assert make_all(tmp_path) == {"a": "aa", "b": "bb", "c": "cc"}
    assert (tmp_path / "calls").read_text() == "abcb"


def test_a_failure_names_the_recording_and_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"b could not be made: ValueError: no voice.*problems\.tsv"):
        make_all(tmp_path, broken="b")
    assert make_all(tmp_path) == {"a": "aa", "b": "bb", "c": "cc"}
    assert (tmp_path / "calls").read_text() == "acb"


def test_corpora_share_a_root_only_when_a_setting_names_their_folders(tmp_path: Path) -> None:
    for locale in ("ca", "es", "ca"):
        claim(tmp_path / "cv", "synthetic", {"locale": locale, "seed": 1}, part="locale")
    lines = (tmp_path / "cv" / "SYNTHETIC.txt").read_text().splitlines()
    assert [json.loads(line)["locale"] for line in lines[1:]] == ["ca", "es"]
    for settings, part in (({"locale": "ca", "seed": 2}, "locale"), ({"corpus": "mtedx"}, "")):
        with pytest.raises(ValueError, match=r"SYNTHETIC\.txt: the settings .* expected, found"):
            claim(tmp_path / "cv", "synthetic", settings, part=part)
    claim(tmp_path / "films", "synthetic", {"corpus": "mtedx"})
    with pytest.raises(ValueError, match=r"the settings .* expected, found .*mtedx"):
        claim(tmp_path / "films", "synthetic", {"locale": "ca"}, part="locale")


def test_a_corpus_in_a_file_of_its_own_has_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "whistles.py").write_text(
        "SUMMARY = 'Whistles'\n"
        "def add_arguments(parser): parser.add_argument('--octave', type=int)\n"
        "def run(args): return f'{args.octave}, {args.seed}, {args.workers} in {args.out}'\n"
    )
    tool = Path(__file__).parents[2] / "tools" / "make_synthetic.py"
    monkeypatch.setattr(synthetic, "__path__", [*synthetic.__path__, str(tmp_path)])
    monkeypatch.setattr(sys, "argv", [tool.name, "whistles", "--octave", "3", "--out", "there"])
    runpy.run_path(str(tool), run_name="__main__")
    assert capsys.readouterr().out == "3, 1, 1 in there\n"
