"""Connected digits: every recording so often, on one side only; label subsets nested; continued after a stop."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import soundfile
from folder_contents import contents

from fairseq_ext.corpora import connected_digits, fsdd
from fairseq_ext.manifest import Utterance, read_labels, read_manifest, read_root
from fairseq_ext.media.join import join_files
from fairseq_ext.splits import by_speaker

USES = {"train": 2, "valid": 1, "test": 1}


def recording(speaker: str, number: int) -> Utterance:
    digit, index = number % 10, number // 10
    return Utterance(
        f"{digit}_{speaker}_{index}", "x.wav", 4000, transcript=fsdd.WORDS[digit], speaker=speaker
    )


def recordings(speakers: str, count: int) -> list[Utterance]:
    return [recording(speaker, number) for speaker in speakers.split() for number in range(count)]


@pytest.mark.parametrize("count", [3, 4, 5, 8, 9, 50, 101])
@pytest.mark.parametrize("uses", [1, 3])
def test_each_recording_is_used_so_often_and_never_twice_in_an_utterance(count: int, uses: int) -> None:
    joints = connected_digits.plan(recordings("george theo", count), "train", uses=uses, seed=1)
    used = Counter(r.id for joint in joints for r in joint.recordings)
    assert len(used) == 2 * count
    assert set(used.values()) == {uses}
    assert len({joint.id for joint in joints}) == len(joints)
    for joint in joints:
        assert 3 <= len(joint.recordings) <= 7
        assert len({r.speaker for r in joint.recordings}) == 1
        assert len({r.id for r in joint.recordings}) == len(joint.recordings)
        assert joint.transcript == " ".join(r.transcript or "" for r in joint.recordings)


def test_the_plan_follows_the_seed_and_not_the_other_speakers() -> None:
    own = recordings("theo", 60)
    plan = connected_digits.plan(own, "train", uses=1, seed=1)
    assert connected_digits.plan(own, "train", uses=1, seed=1) == plan
    assert connected_digits.plan(own, "train", uses=1, seed=2) != plan
    both = connected_digits.plan([*recordings("george", 60), *own], "train", uses=1, seed=1)
    assert [joint for joint in both if "theo" in joint.id] == plan
    assert {len(joint.recordings) for joint in plan} == {3, 4, 5, 6, 7}


def test_bad_plans_are_refused() -> None:
    with pytest.raises(ValueError, match="0 uses of each recording are too few"):
        connected_digits.plan(recordings("theo", 9), "train", uses=0, seed=1)
    with pytest.raises(ValueError, match="speaker theo, test: 2 recordings, 3 are needed"):
        connected_digits.plan(recordings("theo", 2), "test", uses=1, seed=1)


def test_label_subsets_are_nested_and_spread() -> None:
    utterances = [
        Utterance(f"train_{s}_{i}", "x", 32_000 + 100 * i, speaker=s)
        for s in ("a", "b", "c")
        for i in range(40)
    ]
    subsets = [connected_digits.label_subset(utterances, minutes) for minutes in (0.2, 1, 3)]
    ids = [[u.id for u in subset] for subset in subsets]
    assert set(ids[0]) < set(ids[1]) < set(ids[2])
    assert [i for i in (u.id for u in utterances) if i in set(ids[1])] == ids[1]
    for subset, minutes in zip(subsets, (0.2, 1, 3), strict=True):
        counts = [len(own) for own in by_speaker(subset).values()]
        assert len(counts) == 3
        assert max(counts) - min(counts) <= 1
        assert 0 <= sum(u.num_samples for u in subset) / 16_000 - 60 * minutes < 2.3
    with pytest.raises(ValueError, match="there are less than 9 minutes of speech"):
        connected_digits.label_subset(utterances, 9)


@pytest.fixture(scope="module")
def small(fsdd_root: Path) -> list[Utterance]:
    """Eight recordings of each digit and speaker: real ones."""
    return [u for u in fsdd.read(fsdd_root) if int(u.id.split("_")[2]) < 8]


@pytest.fixture(scope="module")
def written(small: list[Utterance], fsdd_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("joined") / "out"
    connected_digits.write(out, small, fsdd.recordings_folder(fsdd_root), join_files, uses=USES)
    return out


def test_manifests_and_audio_agree(written: Path, small: list[Utterance]) -> None:
    speakers = {"train": {"george", "jackson", "nicolas", "theo"}}
    for split in ("train", "valid", "test"):
        folder = written / "asr"
        utterances = list(read_manifest(folder, split))
        assert {u.speaker for u in utterances} == speakers.get(split, {"lucas", "yweweler"})
        words = list(read_labels(folder, split, "wrd"))
        assert words == [u.transcript for u in utterances]
        spelled = [" ".join([*word, "|"]) for word in fsdd.WORDS]
        table = dict(zip(fsdd.WORDS, spelled, strict=True))
        assert list(read_labels(folder, split, "ltr")) == [
            " ".join(table[w] for w in t.split()) for t in words
        ]
        for utterance in utterances[:20]:
            info = soundfile.info(read_root(folder, split) / utterance.path)
            assert (info.samplerate, info.frames) == (16_000, utterance.num_samples)
    of_split = Counter(fsdd.published_split(u) for u in small)
    for split in ("train", "valid", "test"):
        num_words = sum(len(t.split()) for t in read_labels(written / "asr", split, "wrd"))
        assert num_words == of_split[split] * USES[split]


def test_times_are_those_of_the_recordings(written: Path, small: list[Utterance]) -> None:
    lines = (written / "asr" / "test.times.tsv").read_text().splitlines()
    assert lines[0].split("\t") == ["id", "word_number", "word", "start_s", "end_s"]
    rows = [line.split("\t") for line in lines[1:]]
    lengths = Counter(u.num_samples for u in small if fsdd.published_split(u) == "test")
    assert Counter(round((float(row[4]) - float(row[3])) * 8000) for row in rows) == lengths
    utterances = {u.id: u for u in read_manifest(written / "asr", "test")}
    for name, number, word, start_s, end_s in rows:
        assert (utterances[name].transcript or "").split()[int(number)] == word
        assert 0.05 <= float(start_s) < float(end_s) < utterances[name].num_samples / 16_000


def test_label_partitions_share_test_and_dictionary(written: Path) -> None:
    ids = {}
    for partition in ("asr", "asr_5min", "asr_1min"):
        folder = written / partition
        ids[partition] = [u.id for u in read_manifest(folder, "train")]
        for name in ("test.tsv", "test.ltr", "valid.tsv", "dict.ltr.txt", "test.times.tsv"):
            assert (folder / name).read_bytes() == (written / "asr" / name).read_bytes()
    assert set(ids["asr_1min"]) < set(ids["asr_5min"]) < set(ids["asr"])
    assert len({name.split("_")[1] for name in ids["asr_1min"]}) == 4


def test_it_is_continued_and_repeats(
    written: Path, small: list[Utterance], fsdd_root: Path, tmp_path: Path
) -> None:
    def stop(done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    def portable(root: Path) -> dict[str, str]:
        """All but the manifests, whose first line is a path."""
        manifests = ("/train.tsv", "/valid.tsv", "/test.tsv")
        return {name: digest for name, digest in contents(root).items() if not name.endswith(manifests)}

    root, again = fsdd.recordings_folder(fsdd_root), tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        connected_digits.write(again, small, root, join_files, uses=USES, on_progress=stop)
    assert len(list((again / "audio").rglob("*.flac"))) == 10
    assert not list(again.rglob("*.tsv"))
    connected_digits.write(again, small, root, join_files, uses=USES)
    assert portable(again) == portable(written)
    assert contents(again).keys() == contents(written).keys()


def test_other_folders_and_settings_are_refused(
    written: Path, small: list[Utterance], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"JOINED\.txt: the settings .*choose another folder"):
        connected_digits.write(written, small, tmp_path, join_files, uses=USES, seed=2)
    with pytest.raises(ValueError, match=r"JOINED\.txt: the settings .*choose another folder"):
        connected_digits.write(written, small[1:], tmp_path, join_files, uses=USES)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"the folder has files but no JOINED\.txt"):
        connected_digits.write(tmp_path, small, tmp_path, join_files, uses=USES)
    assert list(contents(tmp_path)) == ["thesis.txt"]


def test_the_command_reads_a_synthetic_corpus_and_says_so(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader", reason="needs pip install -e .[synthetic]")
    from fairseq_ext.synthetic import fsdd as synthetic

    synthetic.write(tmp_path / "corpus", num_per_digit=2, progress=False)
    command = [sys.executable, "tools/join_digits.py", "--corpus", str(tmp_path / "corpus")]
    repository = Path(__file__).parents[2]
    nowhere = subprocess.run(
        [sys.executable, "tools/join_digits.py", "--corpus", str(tmp_path), "--out", str(tmp_path / "x")],
        capture_output=True,
        text=True,
        cwd=repository,
    )
    assert nowhere.returncode == 1
    assert "download the corpus" in nowhere.stderr
    assert "Traceback" not in nowhere.stderr
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out"), "--label-minutes", "0.5", "1"],
        capture_output=True,
        text=True,
        cwd=repository,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["asr", "asr_0.5min", "asr_1min", "ssl"]
    assert (tmp_path / "out" / "SYNTHETIC.txt").exists()
