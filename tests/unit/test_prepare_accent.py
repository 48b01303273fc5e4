"""The command `prepare accent`: from a corpus of accents to manifests of its partitions."""

import argparse
import shutil
from collections import Counter
from pathlib import Path

import pytest
from accent_trees import PUBLISHED, write_l2_arctic, write_speaker, write_table
from emotion_trees import write_recording

from fairseq_ext import files, preflight
from fairseq_ext.commands import prepare_accent
from fairseq_ext.corpora.accent_corpora import ACCENTS
from fairseq_ext.dictionary import read_dictionary
from fairseq_ext.manifest import Utterance, read_labels, read_manifest
from fairseq_ext.splits import assert_disjoint


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "flush_to_disk", lambda path: None)


def prepare(*options: object) -> int:
    parser = argparse.ArgumentParser(exit_on_error=False)
    prepare_accent.add_arguments(parser)
    return prepare_accent.run(parser.parse_args([str(o) for o in ("--sample-rate-hz", 8000, *options)]))


def sides(folder: Path) -> dict[str, list[Utterance]]:
    return {
        side: list(read_manifest(folder, side)) if (folder / f"{side}.tsv").exists() else []
        for side in ("train", "valid", "test")
    }


def check(folder: Path, *, shared: bool = False) -> None:
    """Check a manifest folder as `fairseq-ext check` does."""
    report = preflight.check(folder, preflight.Options(allow_shared_speakers=shared, progress=False))
    assert report.ok, report.text()


def people(utterances: list[Utterance]) -> dict[str | None, tuple[str | None, str | None]]:
    return {u.speaker: (u.accent, u.gender) for u in utterances}


def write_folders(root: Path, speakers: dict[str, str]) -> Path:
    """Write ACCENT/SPEAKER/N.wav, two of each speaker -> accent."""
    for number, (speaker, accent) in enumerate(speakers.items()):
        for take in range(2):
            write_recording(root / accent / speaker / f"{take}.wav", 10 * number + take)
    return root


def test_l2_arctic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = write_l2_arctic(tmp_path / "l2"), tmp_path / "out"
    assert ACCENTS.find_kind(root) == "l2_arctic"
    assert prepare("--corpus", root, "--out", out) == 0
    said = capsys.readouterr().out
    assert "24 published speakers expected, found 8" in said
    assert "l2_arctic\tArabic\t8\t4\t0.0\t4\t4\t0\n" in said
    everything = list(read_manifest(out / "all", "test"))
    assert len(everything) == 16
    for stream, symbols in {
        "accent": {"Arabic", "Mandarin"}, "gender": {"female", "male"}, "speaker": set(PUBLISHED),
        "sentence": {"arctic_a0001", "arctic_b0002"},
    }.items():  # fmt: skip
        assert set(read_labels(out / "all", "test", stream)) == symbols
        assert set(read_dictionary(out / "all" / f"dict.{stream}.txt")) == symbols
    tested: list[str | None] = []
    for fold in sorted((out / "unseen_speakers").iterdir()):
        found = sides(fold)
        assert_disjoint({side: [u.speaker for u in members] for side, members in found.items()})
        for side, count in {"test": 1, "valid": 1, "train": 2}.items():
            of_each = Counter(accent for accent, _ in people(found[side]).values())
            assert of_each == {"Arabic": count, "Mandarin": count}
            assert Counter(gender for _, gender in people(found[side]).values()) == {
                "female": count,
                "male": count,
            }
        assert read_dictionary(fold / "dict.accent.txt") == ["Arabic", "Mandarin"]
        tested += people(found["test"])
    assert sorted(map(str, tested)) == sorted(PUBLISHED)
    folder = out / "unseen_speakers_and_sentence" / "fold04_part2"
    assert {u.transcript for u in sides(folder)["test"]} == {"The sentence 0002."}
    assert {u.transcript for side in ("train", "valid") for u in sides(folder)[side]} == {
        "The sentence 0001."
    }
    assert len(list(folder.parent.iterdir())) == 8
    for name in ("all", "unseen_speakers/fold01", "unseen_speakers_and_sentence/fold04_part2"):
        check(out / name)
    check(out / "leaky" / "0", shared=True)
    assert (
        (out / "speakers.tsv").read_text(encoding="utf-8").splitlines()[1].startswith("ABA\tmale\t2\tfold0")
    )
    with pytest.raises(ValueError, match="this fold is of an earlier choice"):
        prepare("--corpus", root, "--out", out, "--folds", 2)


def test_few_folds_test_several_speakers_of_an_accent(tmp_path: Path) -> None:
    names = [f"{accent}{n}" for accent in "ABC" for n in range(5 if accent != "C" else 2)]
    for number, name in enumerate(names):
        write_speaker(tmp_path / "own" / name, seed=100 * number)
    write_table(tmp_path / "own", {name: (name[0], "fm"[int(name[1]) % 2]) for name in names})
    prepare("--corpus", tmp_path / "own", "--out", tmp_path / "two", "--folds", 2)
    for fold in ("fold01", "fold02"):
        found = {
            side: people(members)
            for side, members in sides(tmp_path / "two" / "unseen_speakers" / fold).items()
        }
        tested = Counter(accent for accent, _ in found["test"].values())
        assert tested["C"] == 1
        assert {tested["A"], tested["B"]} <= {2, 3}
        assert len(found["test"]) + len(found["valid"]) + len(found["train"]) == 12
        assert Counter(accent for accent, _ in found["train"].values())["C"] == 1
        assert "C" not in {accent for accent, _ in found["valid"].values()}
    prepare("--corpus", tmp_path / "own", "--out", tmp_path / "five", "--partitions", "unseen_speakers")
    folds = [sides(path) for path in sorted((tmp_path / "five" / "unseen_speakers").iterdir())]
    assert sorted(s or "" for fold in folds for s in people(fold["test"])) == names
    assert all(Counter(a for a, _ in people(f["valid"]).values()) == {"A": 1, "B": 1} for f in folds)
    with pytest.raises(ValueError, match="no accent has 6 speakers, the most are 5"):
        prepare("--corpus", tmp_path / "own", "--out", tmp_path / "six", "--folds", 6)


def test_accents_of_one_speaker_are_in_no_fold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_folders(tmp_path / "own", {"a1": "A", "a2": "A", "b1": "B", "b2": "B", "c1": "New Accent"})
    out = tmp_path / "out"
    prepare("--corpus", root, "--speaker", 2, "--out", out)
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["all", "leaky", "unseen_speakers"]
    assert set(read_labels(out / "all", "test", "accent")) == {"A", "B", "New_Accent"}
    for fold in ("fold01", "fold02"):
        assert read_dictionary(out / "unseen_speakers" / fold / "dict.accent.txt") == ["A", "B"]
    problem = "own: New_Accent: one speaker only, who cannot be tested and trained on; its 2 recordings are in no fold"
    assert (out / "problems.txt").read_text(encoding="utf-8") == f"{problem}\n"
    said = capsys.readouterr().out
    assert "2 folds have no validation" in said
    assert "no unseen_speakers_and_sentence: the corpus does not tell" in said
    shutil.rmtree(root / "B" / "b2")
    with pytest.raises(
        ValueError, match="2 accents of 2 speakers or more are needed to test unseen speakers"
    ):
        prepare("--corpus", root, "--speaker", 2, "--out", tmp_path / "other")
    prepare("--corpus", root, "--speaker", 2, "--out", tmp_path / "leaky", "--partitions", "leaky")


def test_ones_own_table_with_texts(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "own", {"a1": "A", "a2": "A", "b1": "B", "b2": "B"})
    paths = sorted(path.relative_to(root) for path in root.rglob("*.wav"))
    rows = [f"{p},{p.parts[0]},{p.parts[1]},f,say {p.stem}" for p in paths]
    (tmp_path / "t.csv").write_text("\n".join(["path,from,speaker,gender,text", *rows]), encoding="utf-8")
    out = tmp_path / "out"
    prepare(
        "--corpus",
        root,
        "--table",
        tmp_path / "t.csv",
        "--class",
        "from",
        "--out",
        out,
        "--classes",
        "A",
        "B",
    )
    assert set(read_labels(out / "all", "test", "sentence")) == {"say_0", "say_1"}
    assert len(list((out / "unseen_speakers_and_sentence").iterdir())) == 4
    copied = root / "B" / "b1" / "copy.wav"
    shutil.copyfile(root / "A" / "a1" / "0.wav", copied)
    prepare("--corpus", root, "--speaker", 2, "--out", tmp_path / "copies", "--partitions", "leaky")
    problems = (tmp_path / "copies" / "problems.txt").read_text(encoding="utf-8")
    assert "the same audio as B/b1/copy.wav, but other labels (A of a1 and B of b1); skipped" in problems


def test_a_speaker_of_two_accents_is_refused(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "own", {"a1": "A", "a2": "A", "b1": "B", "b2": "B"})
    write_recording(root / "B" / "a1" / "9.wav", 999)
    with pytest.raises(ValueError, match="speaker a1 has the accents A and B"):
        prepare("--corpus", root, "--speaker", 2, "--out", tmp_path / "out")


def test_options_that_have_no_effect_are_refused(tmp_path: Path) -> None:
    root = write_l2_arctic(tmp_path / "l2", ["ABA", "BWC"])
    (tmp_path / "t.csv").write_text("path,class\n", encoding="utf-8")
    for options, said in {
        ("--speaker", 1): "the layout l2_arctic states its speakers",
        ("--no-speakers",): "the layout l2_arctic states its speakers",
        ("--kind", "l2_arctic", "--table", tmp_path / "t.csv"): "the layout l2_arctic has none",
        ("--table", "a", "b"): "one expected, found 2",
        ("--no-speakers", "--partitions", "unseen_speakers"): "without speakers no partition by speaker",
    }.items():
        with pytest.raises(argparse.ArgumentError, match=said):
            prepare("--corpus", root, "--out", tmp_path / "out", *options)
    with pytest.raises(ValueError, match="--folds 1: 2 folds are the fewest"):
        prepare("--corpus", root, "--out", tmp_path / "out", "--folds", 1)
