"""tools/import_manifest.py: from a label list, and from what tools/export_manifest.py wrote."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from fairseq_ext.commands import convert_to_manifest
from fairseq_ext.files import read_lines
from fairseq_ext.manifest import Utterance, read_manifest, write_manifest
from fairseq_ext.media.mouth.table import ClipRow, write_clips_table
from fairseq_ext.text.units import train_pieces

TOOLS = Path(__file__).parents[2] / "tools"


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOLS / tool), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def write_clips(root: Path, *names: str) -> None:
    rows = [ClipRow(name, f"{name}.mp4", num_frames=50, num_samples=32000) for name in names]
    write_clips_table(root, rows)


def test_a_label_list(tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", "fr/test/0u7tTptBo9I_0004", "fr/test/0u7tTptBo9I_0005")
    source = tmp_path / "test.txt"
    source.write_text("0u7tTptBo9I_0004\t42.91\t45.26\ton vient  tous\ngone_0000\t1.00\t2.00\tde\n0u7\t2.0\n")
    common = ("--from", "labels", "--source", source, "--root", tmp_path / "clips", "--out", tmp_path / "m")
    done = run("import_manifest.py", *common, "--split", "test", "--language", "fr")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert "test.txt:3: '0u7\\t2.0' is not 4 columns of the format mtedx" in said[0]
    assert "the clips of 1 of 2 labels are missing, the first fr/test/gone_0000" in said[1]
    assert said[2] == f"{tmp_path}/m/test.tsv: 1 clips"
    assert list(read_manifest(tmp_path / "m", "test")) == [
        Utterance(
            "fr/test/0u7tTptBo9I_0004",
            "audio/fr/test/0u7tTptBo9I_0004.wav",
            32000,
            50,
            transcript="on vient tous",
            speaker="0u7tTptBo9I",
            language="fr",
            split="test",
        )
    ]
    assert list(read_lines(tmp_path / "m" / "test.wrd")) == ["on vient tous"]


@pytest.mark.parametrize("language", ["french", "FR", "fr,it", "xx", ""])
def test_an_unknown_language_is_refused_before_anything_is_read(tmp_path: Path, language: str) -> None:
    parser = argparse.ArgumentParser()
    convert_to_manifest.add_arguments(parser)
    given = [
        "--from",
        "labels",
        "--source",
        "absent.txt",
        "--split",
        "test",
        "--root",
        str(tmp_path / "clips"),
    ]
    args = parser.parse_args([*given, "--out", str(tmp_path / "m"), "--language", language])
    with pytest.raises(ValueError, match=f"languages: found {language or 'none'}, expected some of aa, ab"):
        convert_to_manifest.run(args)
    assert not (tmp_path / "m").exists()


def test_automatic_labels_are_refused_for_test(tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", "id08977/3ap0QSyN6Vc/00008")
    source = tmp_path / "train.txt"
    source.write_text("dev/mp4/id08977/3ap0QSyN6Vc/00008.mp4\tciao\n")
    common = ("--from", "labels", "--source", source, "--root", tmp_path / "clips", "--out", tmp_path / "m")
    refused = run("import_manifest.py", *common, "--split", "test")
    assert refused.returncode == 1
    assert "its labels are automatic" in refused.stderr
    assert not (tmp_path / "m" / "test.tsv").exists()
    assert run("import_manifest.py", *common, "--split", "train").returncode == 0


def test_what_is_missing_is_named_as_it_is_given(tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", "fr/test/0u7tTptBo9I_0004")
    (tmp_path / "test.txt").write_text("0u7tTptBo9I_0004\t42.91\t45.26\ton vient tous\n")
    common = ("--split", "test", "--root", tmp_path / "clips", "--out", tmp_path / "m")
    refused = run("import_manifest.py", "--from", "labels", "--source", tmp_path / "test.txt", *common)
    assert refused.returncode == 1
    assert refused.stderr.endswith("is not known; give its code (--language fr)\n")
    refused = run("import_manifest.py", "--from", "av_hubert", "--source", tmp_path, *common)
    assert refused.returncode == 1
    assert f"{tmp_path}: there is no test.tsv; give one of the folders in it, clips" in refused.stderr


def test_there_and_back(tmp_path: Path) -> None:
    utterances = [
        Utterance(
            f"a/{i}", f"audio/a/{i}.wav", 640 * (40 + i), 40 + i, transcript=f"un été {i}", split="valid"
        )
        for i in range(3)
    ]
    write_manifest(tmp_path / "m", "valid", utterances, root=tmp_path / "clips")
    train_pieces([u.transcript or "" for u in utterances], 20).save(tmp_path / "spm.model")
    for kind, source in (("av_hubert", "."), ("auto_avsr", "valid.csv")):
        out = tmp_path / kind
        options = (
            "--manifest",
            tmp_path / "m",
            "--to",
            kind,
            "--pieces",
            tmp_path / "spm.model",
            "--out",
            out,
        )
        assert run("export_manifest.py", *options).returncode == 0
        done = run(
            "import_manifest.py", "--from", kind, "--source", out / source, "--split", "valid",
            "--root", tmp_path / "clips", "--out", tmp_path / f"{kind}_back",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert list(read_manifest(tmp_path / f"{kind}_back", "valid")) == utterances
        assert (tmp_path / f"{kind}_back" / "valid.tsv").read_bytes() == (
            tmp_path / "m" / "valid.tsv"
        ).read_bytes()
