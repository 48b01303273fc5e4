"""Synthetic Common Voice: published layout, unseen speakers and sentences, reproducible, continued after a kill."""

import csv
import hashlib
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from folder_contents import contents

from fairseq_ext.synthetic import common_voice
from fairseq_ext.synthetic.common_voice import Sizes
from fairseq_ext.synthetic.common_voice_plan import Clip, plan_clips

pytest.importorskip("espeakng_loader", reason="needs pip install -e .[synthetic]")

SMALL = Sizes(
    train_speakers=4,
    dev_speakers=2,
    test_speakers=2,
    other_speakers=4,
    train_minutes=0.3,
    dev_minutes=0.1,
    test_minutes=0.1,
    other_minutes=0.3,
    num_unread=40,
)
TINY = Sizes(1, 1, 1, 1, 0.03, 0.03, 0.03, 0.03, num_unread=3)
HEADER = (
    "client_id path sentence_id sentence sentence_domain up_votes down_votes "
    "age gender accents variant locale segment"
)

TsvRow = dict[str, str]
Plan = tuple[list[Clip], list[str]]


def rows(path: Path) -> list[TsvRow]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def plain(text: str) -> list[str]:
    text = text.lower().replace("’", "'").replace("ŀl", "l·l")
    return re.findall(r"[^\W_]+(?:['·-][^\W_]+)*", text)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "cv"
    common_voice.write(folder, "ca", sizes=SMALL, progress=False)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a corpus of a few clips, which tests copy."""
    folder = tmp_path_factory.mktemp("tiny") / "cv"
    common_voice.write(folder, "ca", sizes=TINY, progress=False)
    return folder


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Return the clips and the unread sentences of a demo."""
    return plan_clips("ca", Sizes(), seed=1)


@pytest.fixture(scope="module")
def tables(root: Path) -> dict[str, list[TsvRow]]:
    names = ("train", "dev", "test", "validated", "invalidated", "other")
    return {name: rows(root / "ca" / f"{name}.tsv") for name in names}


def test_it_has_the_published_layout(root: Path, tables: dict[str, list[TsvRow]]) -> None:
    names = {f"{name}.tsv" for name in tables}
    extra = {"SYNTHETIC_times.tsv"}
    files = names | extra | {"clip_durations.tsv", "validated_sentences.tsv", "clips"}
    assert {path.name for path in (root / "ca").iterdir()} == files
    assert {path.name for path in root.iterdir()} == {"ca", "SYNTHETIC.txt"}
    for name in names:
        text = (root / "ca" / name).read_text(encoding="utf-8")
        assert text.startswith("\t".join(HEADER.split()) + "\n")
        assert "\r" not in text
    clips = {row["path"] for table in tables.values() for row in table}
    assert clips == {path.name for path in (root / "ca" / "clips").iterdir()}
    assert all(re.fullmatch(r"common_voice_ca_\d{8}\.mp3", name) for name in clips)


def test_columns_have_values_of_the_real_corpus(tables: dict[str, list[TsvRow]]) -> None:
    for row in (row for table in tables.values() for row in table):
        assert re.fullmatch(r"[0-9a-f]{128}", row["client_id"])
        assert row["sentence_id"] == hashlib.sha256(row["sentence"].encode()).hexdigest()
        assert row["sentence_domain"] in {"", "general"}
        assert row["gender"] in {"female_feminine", "male_masculine", ""}
        assert row["accents"] in {"central", "balear", "nord-occidental", "valencià", "central,Barcelona", ""}
        assert row["variant"] in {"Central", "Balear", "Nord-Occidental", "Valencià central", ""}
        assert (row["locale"], row["segment"], row["age"]) == ("ca", "", "")


def test_votes_agree_with_the_bucket_of_each_clip(tables: dict[str, list[TsvRow]]) -> None:
    def votes(name: str) -> list[tuple[int, int]]:
        return [(int(row["up_votes"]), int(row["down_votes"])) for row in tables[name]]

    assert all(up >= 2 and up > down for up, down in votes("validated"))
    assert all(down >= 2 and down > up for up, down in votes("invalidated"))
    assert all(up + down < 2 for up, down in votes("other"))
    paths = {name: {row["path"] for row in table} for name, table in tables.items()}
    assert paths["train"] | paths["dev"] | paths["test"] < paths["validated"]
    assert not paths["validated"] & (paths["other"] | paths["invalidated"])


def test_splits_share_no_speaker_and_no_sentence(tables: dict[str, list[TsvRow]]) -> None:
    for column in ("client_id", "sentence"):
        splits = [
            {" ".join(plain(row[column])) for row in tables[name]}
            for name in ("train", "dev", "test", "other")
        ]
        assert sum(map(len, splits)) == len(set.union(*splits))
    assert [
        len({row["client_id"] for row in tables[name]}) for name in ("train", "dev", "test", "other")
    ] == [4, 2, 2, 4]
    # As in the real corpus, validated.tsv has clips of the test speakers that are in no split.
    test_speakers = {row["client_id"] for row in tables["test"]}
    test_clips = {row["path"] for row in tables["test"]}
    assert any(r["client_id"] in test_speakers and r["path"] not in test_clips for r in tables["validated"])


def test_accents_and_genders_are_balanced(plan: Plan) -> None:
    clips, _ = plan
    for bucket in ("train", "dev", "test"):
        speakers = {clip.speaker for clip in clips if clip.bucket == bucket}
        groups = [(speaker.accents, speaker.gender) for speaker in speakers]
        assert len(set(groups)) == 8
        assert all(groups.count(group) == len(speakers) / 8 for group in groups)
        assert all(s.gender.startswith(s.voice.gender) for s in speakers)
        assert {s.voice.language: s.accents for s in speakers} == {
            "ca": "central",
            "ca-ba": "balear",
            "ca-nw": "nord-occidental",
            "ca-va": "valencià",
        }
    others = {clip.speaker for clip in clips if clip.bucket == "other"}
    assert {"", "central,Barcelona", "balear"} <= {speaker.accents for speaker in others}


def test_clips_are_mp3_of_the_listed_duration(root: Path, tables: dict[str, list[TsvRow]]) -> None:
    durations = {row["clip"]: int(row["duration[ms]"]) for row in rows(root / "ca" / "clip_durations.tsv")}
    assert len(durations) == sum(len(tables[name]) for name in ("validated", "invalidated", "other"))
    for name, duration_ms in durations.items():
        path = root / "ca" / "clips" / name
        info = soundfile.info(str(path))
        assert (info.samplerate, info.channels, info.format) == (32_000, 1, "MP3")
        samples, rate = soundfile.read(path, dtype="float32")
        assert round(len(samples) / rate * 1000) == duration_ms
        assert 46_000 < path.stat().st_size * 8000 / duration_ms < 53_000  # the header counts in short clips
        assert 0.005 < np.abs(samples).max() <= 1.1


def test_words_are_spoken_at_the_listed_times(root: Path, tables: dict[str, list[TsvRow]]) -> None:
    spans: dict[str, list[TsvRow]] = {}
    for row in rows(root / "ca" / "SYNTHETIC_times.tsv"):
        spans.setdefault(row["clip"], []).append(row)
    ratios_db = []
    for clip in (*tables["validated"], *tables["other"]):
        words = spans[clip["path"]]
        assert [int(row["word_number"]) for row in words] == list(range(len(words)))
        if not re.search(r"\d", clip["sentence"]):
            assert [row["word"] for row in words] == plain(clip["sentence"])
        times = [(float(row["start_s"]), float(row["end_s"])) for row in words]
        assert all(a < b for a, b in times)
        assert all(b <= c for (_, b), (c, _) in pairwise(times))
        samples, rate = soundfile.read(root / "ca" / "clips" / clip["path"])
        assert 0 <= times[0][0] < times[-1][1] <= len(samples) / rate
        assert 0.15 * len(words) < times[-1][1] - times[0][0] < 0.8 * len(words)
        said = np.zeros(len(samples), bool)
        for start_s, end_s in times:
            said[round(start_s * rate) : round(end_s * rate)] = True
        power = samples**2
        if (~said).sum() > rate // 10:
            ratios_db.append(10 * np.log10(power[said].mean() / power[~said].mean()))
    assert len(ratios_db) > 10
    assert np.median(ratios_db) > 15
    assert min(ratios_db) > 6


def test_invalidated_clips_are_wrong(root: Path, tables: dict[str, list[TsvRow]]) -> None:
    said: dict[str, list[str]] = {}
    for row in rows(root / "ca" / "SYNTHETIC_times.tsv"):
        said.setdefault(row["clip"], []).append(row["word"])
    assert len(tables["invalidated"]) == 4
    heard = [said.get(row["path"]) for row in tables["invalidated"]]
    assert heard.count(None) == 2  # stopped too early
    assert all(
        words != plain(row["sentence"]) for words, row in zip(heard, tables["invalidated"], strict=True)
    )


def test_a_few_texts_have_unusual_spellings(plan: Plan, tables: dict[str, list[TsvRow]]) -> None:
    clips, unread = plan
    awkward = [clip.text for clip in clips if clip.text != clip.spoken.text and clip.bucket != "invalidated"]
    assert 0.05 < len(awkward) / len(clips) < 0.2
    for sign in ("’", "«", '"', "…", "ŀl", "  ", "7"):
        assert any(sign in text for text in awkward), sign
    assert any(text.isupper() for text in awkward)
    texts = "".join(row["sentence"] for table in tables.values() for row in table)
    assert set("çàéò") <= set(texts)
    assert not {clip.text for clip in clips} & set(unread)


def test_unread_sentences_are_in_no_test_split(root: Path, tables: dict[str, list[TsvRow]]) -> None:
    sentences = rows(root / "ca" / "validated_sentences.tsv")
    assert " ".join(sentences[0]) == "sentence_id sentence sentence_domain source is_used clips_count"
    counts = {row["sentence"]: int(row["clips_count"]) for row in sentences}
    clips = [row["sentence"] for name in ("validated", "invalidated", "other") for row in tables[name]]
    assert {text: count for text, count in counts.items() if count} == {t: clips.count(t) for t in set(clips)}
    assert sum(count == 0 for count in counts.values()) == 40
    assert all((row["is_used"] == "1") == (row["clips_count"] != "0") for row in sentences)


def test_other_seeds_have_other_speakers(plan: Plan) -> None:
    others, _ = plan_clips("ca", TINY, seed=2)
    assert not {clip.speaker.client_id for clip in others} & {clip.speaker.client_id for clip in plan[0]}


def test_a_killed_run_is_continued_and_any_number_of_workers_writes_the_same_bytes(
    root: Path, tmp_path: Path
) -> None:
    code = (
        "from fairseq_ext.synthetic import common_voice as c\n"
        f"if __name__ == '__main__': c.write({str(tmp_path)!r}, sizes=c.{SMALL!r}, num_workers=2)"
    )
    script = tmp_path.with_suffix(".py")
    script.write_text(code)
    process = subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL, start_new_session=True)
    clips = tmp_path / "ca" / "clips"
    while len(list(clips.glob("[!.]*.mp3"))) < 3 and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while _group_lives(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _group_lives(process.pid), "the workers end with the parent"
    whole = {name: digest for name, digest in contents(tmp_path).items() if name.endswith(".mp3")}
    assert whole
    assert whole.items() <= contents(root).items()
    assert not (tmp_path / "ca" / "train.tsv").exists()
    common_voice.write(tmp_path, "ca", sizes=SMALL, num_workers=2, progress=False)
    assert contents(tmp_path) == contents(root)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_is_missing_or_damaged_is_written_again(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path, dirs_exist_ok=True)
    expected = contents(tmp_path)
    first, second, third, fourth = sorted((tmp_path / "ca" / "clips").iterdir())[:4]
    first.unlink()
    second.write_bytes(second.read_bytes()[:-500])
    third.write_bytes(b"no mp3 file")
    times = tmp_path / "ca" / "SYNTHETIC_times.tsv"
    times.write_bytes(times.read_bytes()[:-7])
    (tmp_path / "ca" / "clip_durations.tsv").unlink()
    untouched = fourth.stat().st_mtime_ns
    counts = common_voice.write(tmp_path, "ca", sizes=TINY, progress=False)
    assert contents(tmp_path) == expected
    assert fourth.stat().st_mtime_ns == untouched
    assert counts["train"] >= 1
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.tsv")}
    common_voice.write(tmp_path, "ca", sizes=TINY, progress=False)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.tsv")}


def test_locales_can_share_a_root(tmp_path: Path) -> None:
    for locale in ("es", "en"):
        common_voice.write(tmp_path, locale, sizes=TINY, progress=False)
    label = (tmp_path / "SYNTHETIC.txt").read_text(encoding="utf-8")
    assert "synthetic" in label
    assert '"locale": "es"' in label
    assert '"locale": "en"' in label
    accents = {
        locale: {r["accents"] for r in rows(tmp_path / locale / "validated.tsv")} for locale in ("es", "en")
    }
    assert accents["es"] <= {"España: Centro-Sur peninsular (Madrid, Toledo, Castilla-La Mancha)", "México"}
    assert accents["en"] <= {"United States English", "England English", "Scottish English"}


def test_real_corpora_and_other_settings_are_refused(tiny: Path, tmp_path: Path) -> None:
    real = tmp_path / "real"
    (real / "ca" / "clips").mkdir(parents=True)
    (real / "ca" / "train.tsv").write_text("real")
    for locale in ("ca", "es"):
        with pytest.raises(
            ValueError, match=r"the folder has files but no SYNTHETIC\.txt .*choose another folder"
        ):
            common_voice.write(real, locale, sizes=TINY, progress=False)
    assert list(contents(real)) == ["ca/train.tsv"]
    made = tmp_path / "made"
    shutil.copytree(tiny, made)
    with pytest.raises(ValueError, match=r"SYNTHETIC\.txt: the settings .*choose another folder"):
        common_voice.write(made, "ca", sizes=TINY, seed=2, progress=False)
    (made / "ca" / "clips" / "common_voice_ca_17367522.mp3").write_bytes(b"real")
    with pytest.raises(
        ValueError,
        match=r"1 files such as common_voice_ca_17367522\.mp3 are not among the recordings to write",
    ):
        common_voice.write(made, "ca", sizes=TINY, progress=False)


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a locale of .* expected, found 'xx'"):
        common_voice.write(tmp_path, "xx", progress=False)
    with pytest.raises(ValueError, match="1 speaker or more"):
        Sizes(train_speakers=0)
    with pytest.raises(ValueError, match="more than 0 minutes"):
        Sizes(dev_minutes=0)
    assert not list(tmp_path.iterdir())


def test_the_command_writes_and_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = [
        f"--{split}-{unit}" for split in ("train", "dev", "test", "other") for unit in ("speakers", "minutes")
    ]
    values = [text for size in sizes for text in (size, "1" if "speakers" in size else "0.03")]
    command = ["make_synthetic.py", "common_voice", "--out", str(tmp_path / "cv"), *values]
    tool = str(Path(__file__).parents[2] / "tools" / "make_synthetic.py")
    monkeypatch.setattr(sys, "argv", command)
    runpy.run_path(tool, run_name="__main__")
    assert re.fullmatch(rf"1 train, 1 dev, .* other in {tmp_path}/cv/ca\n", capsys.readouterr().out)
    monkeypatch.setattr(sys, "argv", [*command, "--seed", "2"])
    with pytest.raises(SystemExit, match=r"make_synthetic\.py: .*choose another folder"):
        runpy.run_path(tool, run_name="__main__")
