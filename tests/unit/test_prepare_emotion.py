"""The command `prepare emotion`: from any corpus of emotional speech to manifests of its partitions."""

import argparse
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from emotion_trees import write_crema_d, write_iemocap, write_ravdess, write_recording

from fairseq_ext import files, preflight
from fairseq_ext.commands import prepare_emotion
from fairseq_ext.corpora.class_partitions import read_label_map
from fairseq_ext.corpora.emotion_across import LABEL_MAP
from fairseq_ext.corpora.emotion_corpora import EMOTIONS
from fairseq_ext.dictionary import read_dictionary
from fairseq_ext.manifest import Utterance, read_labels, read_manifest, read_root
from fairseq_ext.splits import assert_disjoint

Tree = Callable[[Path], Path]


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "flush_to_disk", lambda path: None)


def prepare(*options: object) -> int:
    parser = argparse.ArgumentParser(exit_on_error=False)
    prepare_emotion.add_arguments(parser)
    given = [str(option) for option in ("--sample-rate-hz", 8000, *options)]
    return prepare_emotion.run(parser.parse_args(given))


def sides(folder: Path) -> dict[str, list[Utterance]]:
    return {
        side: list(read_manifest(folder, side)) if (folder / f"{side}.tsv").exists() else []
        for side in ("train", "valid", "test")
    }


def check(folder: Path, *, shared: bool = False) -> None:
    """Check a manifest folder as `fairseq-ext check` does."""
    report = preflight.check(folder, preflight.Options(allow_shared_speakers=shared, progress=False))
    assert report.ok, report.text()


def write_own(root: Path, speakers: tuple[str, ...] = ("anna", "pau", "zoe")) -> Path:
    """Write a folder per emotion, two takes of each speaker."""
    for number, (label, speaker, take) in enumerate(
        (label, speaker, take) for label in ("calm", "sad") for speaker in speakers for take in range(2)
    ):
        write_recording(root / label / speaker / f"{take}.wav", number)
    return root


def test_ravdess(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_ravdess(tmp_path / "ravdess", actors=range(1, 7))
    write_recording(root / "Actor_01" / "03-02-05-01-01-01-01.wav", 800)
    write_recording(root / "Actor_01" / "03-02-05-01-01-02-01.wav", 801)
    out = tmp_path / "out"
    assert prepare("--corpus", root, "--out", out, "--folds", 3) == 0
    said = capsys.readouterr().out
    assert "it is a song; skipped (and 1 more like it)" in said
    assert "ravdess\tangry\t24\t6\t" in said
    everything = list(read_manifest(out / "all", "test"))
    assert len(everything) == 48
    for stream, symbols in {
        "emotion": {"angry", "neutral"}, "gender": {"female", "male"}, "intensity": {"normal"},
        "sentence": {"1", "2"}, "take": {"1", "2"}, "speaker": {f"Actor_{n:02d}" for n in range(1, 7)},
    }.items():  # fmt: skip
        assert set(read_labels(out / "all", "test", stream)) == symbols
    check(out / "all")
    tested = []
    for fold in range(1, 4):
        found = sides(out / "unseen_speakers" / f"fold{fold:02d}")
        assert_disjoint({side: [u.speaker for u in members] for side, members in found.items()})
        assert Counter({u.speaker: u.gender for u in found["test"]}.values()) == {"male": 1, "female": 1}
        tested += [u.id for u in found["test"]]
    assert sorted(tested) == sorted(u.id for u in everything)
    folder = out / "unseen_speakers_and_sentence" / "fold03_part2"
    assert {u.transcript for u in sides(folder)["test"]} == {"Dogs are sitting by the door"}
    assert {u.transcript for u in sides(folder)["train"]} == {"Kids are talking by the door"}
    check(folder)
    check(out / "leaky" / "0", shared=True)
    rows = (out / "speakers.tsv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "speaker\tgender\trecordings\tfold"
    assert rows[1].startswith("Actor_01\tmale\t8\tfold0")
    assert (out / "sample_rate_hz.txt").read_text(encoding="utf-8") == "8000\n"


def test_crema_d_and_the_four_classes(tmp_path: Path) -> None:
    root = write_crema_d(tmp_path / "c", range(1001, 1007), emotions=("ANG", "NEU", "SAD", "HAP", "DIS"))
    out = tmp_path / "out"
    prepare("--corpus", root, "--out", out, "--classes", "anger", "happy", "neutral", "sad", "--folds", 3)
    assert read_dictionary(out / "unseen_speakers" / "fold01" / "dict.emotion.txt") == [
        "anger", "happy", "neutral", "sad",
    ]  # fmt: skip
    problems = (out / "problems.txt").read_text(encoding="utf-8")
    assert "crema_d: disgust: not among the chosen classes; its 12 recordings are left out" in problems
    assert sorted(path.name for path in (out / "unseen_speakers").iterdir()) == ["fold01", "fold02", "fold03"]
    with pytest.raises(ValueError, match="there is no class 'joy'; the classes are"):
        prepare("--corpus", root, "--out", tmp_path / "other", "--classes", "joy", "sad")


def test_iemocap_leaves_a_session_out(tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare("--corpus", write_iemocap(tmp_path / "i", sessions=(1, 2, 3, 4, 5)), "--out", out)
    assert sorted(path.name for path in (out / "sessions").iterdir()) == [f"Session{i}" for i in range(1, 6)]
    for session in range(1, 6):
        found = sides(out / "sessions" / f"Session{session}")
        assert {u.speaker for u in found["test"]} == {f"Ses{session:02d}_F", f"Ses{session:02d}_M"}
        assert len({u.speaker for u in found["valid"]}) == 1
        assert_disjoint({side: [u.speaker for u in members] for side, members in found.items()})
    check(out / "sessions" / "Session1")


def test_cross_corpus_both_ways_with_counts_of_what_is_dropped(tmp_path: Path) -> None:
    ravdess = write_ravdess(tmp_path / "r", range(1, 5), emotions=(1, 2, 5, 8))
    crema = write_crema_d(tmp_path / "deep" / "c")
    out = tmp_path / "out"
    prepare("--corpus", ravdess, crema, "--out", out, "--partitions", "cross_corpus", "unseen_speakers")
    found = sides(out / "cross_corpus" / "ravdess-crema_d")
    assert {u.id.partition("/")[0] for u in found["train"]} == {"ravdess"}
    assert {u.id.partition("/")[0] for u in found["test"]} == {"crema_d"}
    labels = list(read_labels(out / "cross_corpus" / "ravdess-crema_d", "train", "emotion"))
    assert Counter(labels) == {"anger": 16, "neutral": 32}
    assert {u.speaker for u in found["test"]} == {f"crema_d/{actor}" for actor in range(1001, 1005)}
    everything = {u.id: u for u in read_manifest(out / "all", "test")}
    assert len(everything) == 64 + 24
    assert all(everything[u.id].path == u.path for side in found.values() for u in side)
    assert read_root(out / "all", "test") == tmp_path
    assert Counter(read_labels(out / "all", "test", "common_emotion"))["neutral"] == 32 + 8
    assert Counter(read_labels(out / "all", "test", "voice_vote"))[""] == 64 + 12
    table = (out / "cross_corpus.tsv").read_text(encoding="utf-8")
    assert "cross_corpus/crema_d-ravdess\tcrema_d\tsad\t\t8\n" in table
    assert "cross_corpus/crema_d-ravdess\travdess\tcalm\tneutral\t16\n" in table
    problems = (out / "problems.txt").read_text(encoding="utf-8")
    assert "surprised of ravdess: no common class; its 16 recordings are left out" in problems
    prepare("--corpus", crema, "--out", tmp_path / "one", "--partitions", "unseen_speakers")
    for fold in ("fold01", "fold02", "fold03", "fold04"):
        own = sides(out / "crema_d" / "unseen_speakers" / fold)
        assert all(u.id in everything for side in own.values() for u in side)
        alone = sides(tmp_path / "one" / "unseen_speakers" / fold)
        assert {u.id for u in own["test"]} == {f"crema_d/{u.id}" for u in alone["test"]}
    for folder in (out / "all", out / "cross_corpus" / "crema_d-ravdess"):
        check(folder)


def test_a_label_map_of_ones_own_and_a_wrong_one(tmp_path: Path) -> None:
    roots = write_ravdess(tmp_path / "r"), write_own(tmp_path / "own")
    (tmp_path / "map.tsv").write_text(
        "class\tcommon\nangry\tup\nneutral\tdown\ncalm\tdown\nsad\tup\n", "utf-8"
    )
    options = ("--corpus", *roots, "--speaker", 2, "--label-map", tmp_path / "map.tsv", "--out")
    prepare(*options, tmp_path / "out")
    folder = tmp_path / "out" / "cross_corpus" / "own-ravdess"
    assert read_dictionary(folder / "dict.emotion.txt") == ["down", "up"]
    (tmp_path / "map.tsv").write_text("emotion\tcommon\nangry\tup\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"map\.tsv:1: the columns class, common expected"):
        prepare(*options, tmp_path / "out2")
    (tmp_path / "map.tsv").write_text("class\tcommon\nangry\tup\nsad\tup\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"2 common classes or more are needed, found \['up'\].*--label-map"):
        prepare(*options, tmp_path / "out3")


def test_ones_own_folder_is_one_command(tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare("--corpus", write_own(tmp_path / "own"), "--speaker", 2, "--out", out)
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["all", "leaky", "unseen_speakers"]
    assert len(list((out / "unseen_speakers").iterdir())) == 3
    assert {u.emotion for u in read_manifest(out / "all", "test")} == {"calm", "sad"}
    check(out / "all")
    with pytest.raises(ValueError, match="this fold is of an earlier choice"):
        prepare("--corpus", tmp_path / "own", "--speaker", 2, "--out", out, "--folds", 2)


def test_ones_own_table_with_gender_and_session(tmp_path: Path) -> None:
    root = write_own(tmp_path / "own")
    genders = {"anna": "F", "pau": "m", "zoe": "F"}
    rows = [
        f"{label}/{speaker}/{path.name},{label},{speaker},{genders[speaker]},{speaker[0]}"
        for path in sorted(root.rglob("*.wav"))
        for label, speaker in [path.parts[-3:-1]]
    ]
    (tmp_path / "t.csv").write_text("\n".join(["path,feeling,speaker,gender,day", *rows]), encoding="utf-8")
    out = tmp_path / "out"
    options = ("--corpus", root, "--table", tmp_path / "t.csv", "--class", "feeling")
    prepare(*options, "--group", "day", "--out", out)
    assert sorted(path.name for path in (out / "sessions").iterdir()) == ["a", "p", "z"]
    assert Counter(read_labels(out / "all", "test", "gender")) == {"female": 8, "male": 4}
    with pytest.raises(ValueError, match="the header has no column 'emotion' for the class"):
        prepare(*options[:-1], "emotion", "--out", tmp_path / "out2")


def test_without_speakers_and_with_one_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_own(tmp_path / "own")
    with pytest.raises(ValueError, match="no speaker is known"):
        prepare("--corpus", root, "--out", tmp_path / "a")
    prepare("--corpus", root, "--no-speakers", "--out", tmp_path / "b")
    assert sorted(path.name for path in (tmp_path / "b").iterdir() if path.is_dir()) == ["all", "leaky"]
    assert "NOT speaker-independent" in capsys.readouterr().out
    one = write_own(tmp_path / "one", ("anna",))
    with pytest.raises(ValueError, match="2 speakers or more are needed to test unseen ones"):
        prepare("--corpus", one, "--speaker", 2, "--out", tmp_path / "c")
    for path in (("--no-speakers", "--partitions", "unseen_speakers"), ("--partitions", "cross_corpus")):
        with pytest.raises(argparse.ArgumentError):
            prepare("--corpus", root, *path, "--out", tmp_path / "d")


def test_a_class_that_a_fold_lacks_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_own(tmp_path / "own")
    for speaker in ("pau", "zoe"):
        shutil.rmtree(root / "sad" / speaker)
    prepare("--corpus", root, "--speaker", 2, "--out", tmp_path / "out", "--partitions", "unseen_speakers")
    said = capsys.readouterr().out
    assert said.count("no training recording of sad, which cannot be recognised") >= 1
    assert said.count("no test recording of sad; pool the folds before scoring") == 2


def test_copies_and_silence_in_ones_own_folder_are_left_out(tmp_path: Path) -> None:
    root = write_own(tmp_path / "own")
    shutil.copyfile(root / "sad" / "anna" / "0.wav", root / "sad" / "anna" / "copy.wav")
    shutil.copyfile(root / "sad" / "pau" / "0.wav", root / "calm" / "pau" / "copy.wav")
    write_recording(root / "sad" / "zoe" / "short.wav", 5, num_samples=24)
    prepare("--corpus", root, "--speaker", 2, "--out", tmp_path / "out")
    problems = (tmp_path / "out" / "problems.txt").read_text(encoding="utf-8").splitlines()
    assert len(problems) == 4
    assert "short.wav: it lasts 3 ms, too short for a word; skipped" in problems[0]
    assert sum("a copy, the same audio as" in line for line in problems) == 2
    assert sum("calm of pau and sad of pau" in line for line in problems) == 1
    assert len(list(read_manifest(tmp_path / "out" / "all", "test"))) == 11


def test_a_recording_that_is_much_longer_than_the_others_is_named(tmp_path: Path) -> None:
    root = write_own(tmp_path / "own")
    write_recording(root / "sad" / "zoe" / "hour.wav", 5, num_samples=21 * 1600)
    prepare("--corpus", root, "--speaker", 2, "--out", tmp_path / "out", "--partitions", "leaky")
    problems = (tmp_path / "out" / "problems.txt").read_text(encoding="utf-8")
    assert (
        problems
        == f"{root}/sad/zoe/hour.wav: it lasts 4 s, the others 0.2 s; kept, listen to what it holds\n"
    )
    assert len(list(read_manifest(tmp_path / "out" / "all", "test"))) == 13


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (write_ravdess, "ravdess"),
        (write_crema_d, "crema_d"),
        (write_iemocap, "iemocap"),
        (write_own, "other"),
    ],
)
def test_the_layout_is_told_by_the_content(tmp_path: Path, write: Tree, kind: str) -> None:
    assert EMOTIONS.find_kind(write(tmp_path)) == kind


def test_a_folder_of_two_corpora_is_refused(tmp_path: Path) -> None:
    write_crema_d(write_ravdess(tmp_path))
    with pytest.raises(ValueError, match="it holds several corpora, ravdess and crema_d"):
        EMOTIONS.find_kind(tmp_path)


def test_the_label_map_of_the_project_is_sound() -> None:
    table = read_label_map(LABEL_MAP, ["any"])
    mapped = {label: common for (_, label), common in table.items()}
    assert mapped["calm"] == mapped["neutral"] == "neutral"
    assert mapped["excited"] == mapped["happy"] == "happy"
    assert mapped["fearful"] == mapped["fear"] == "fear"
    assert mapped["surprised"] == ""
    assert set(mapped.values()) == {"anger", "disgust", "fear", "happy", "neutral", "sad", ""}
    assert all(mapped[common] == common for common in set(mapped.values()) - {""})
