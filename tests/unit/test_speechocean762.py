"""speechocean762: the published layout and the table of a copy, damage of every kind, partitions, the command."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fairseq_ext.commands import prepare_speechocean762
from fairseq_ext.corpora import speechocean762
from fairseq_ext.corpora.speechocean762_partitions import partitions, sides, verification
from fairseq_ext.dictionary import read_dictionary
from fairseq_ext.manifest import Utterance, read_labels, read_manifest
from fairseq_ext.media.audio import num_samples_at, probe

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "speechocean762"
TEXTS = ("TWO SIX FOUR EIGHT", "MARK IS GOING TO SEE ELEPHANT", "IT'S JUST SO HARD")
Row = tuple[str, str, str]  # split, speaker, text


def rows(train: int = 6, test: int = 2, each: int = 3) -> list[Row]:
    """Return rows of speakers 0001 and on, men and women in turn; the sentences of each speaker are its own."""
    return [
        (
            "train" if number < train else "test",
            f"{number + 1:04d}",
            f"{TEXTS[i % 3]} NUMBER {'X' * number} {'Y' * i}",
        )
        for number in range(train + test)
        for i in range(each)
    ]


def facts(found: Sequence[Row]) -> list[tuple[str, str, str, str]]:
    """Return utterance, split, speaker and text of each row."""
    return [(f"{speaker}{i:05d}", split, speaker, text) for i, (split, speaker, text) in enumerate(found)]


def write_kaldi(root: Path, found: Sequence[Row], end: str = "\n") -> Path:
    """Write the published layout, each recording 0.2 s at 16 kHz."""
    for split in ("train", "test"):
        own = [row for row in facts(found) if row[1] == split]
        speakers = sorted({row[2] for row in own})
        tables = {
            "wav.scp": [f"{utterance}\tWAVE/SPEAKER{s}/{utterance}.WAV" for utterance, _, s, _ in own],
            "text": [f"{utterance}\t{text}" for utterance, _, _, text in own],
            "utt2spk": [f"{utterance}\t{s}" for utterance, _, s, _ in own],
            "spk2gender": [f"{s}\t{'mf'[int(s) % 2]}" for s in speakers],
            "spk2age": [f"{s}\t{5 + int(s)}" for s in speakers],
        }
        (root / split).mkdir(parents=True)
        for name, lines in tables.items():
            (root / split / name).write_bytes("".join(line + end for line in lines).encode())
        for utterance, _, s, _ in own:
            path = root / "WAVE" / f"SPEAKER{s}" / f"{utterance}.WAV"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.1 * np.sin(np.arange(3200) / 5), 16000, format="WAV")
    return root


def write_table(root: Path, found: Sequence[Row]) -> Path:
    """Write a copy with one table, in flac."""
    lines = ["\t".join(speechocean762.TABLE_COLUMNS)]
    for utterance, split, s, text in facts(found):
        gender = ("male", "female")[int(s) % 2]
        lines.append(f"{split}\twav/{s}/{utterance}.flac\t{s}\t{gender}\t{5 + int(s)}\t{text}")
        path = root / "wav" / s / f"{utterance}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * np.sin(np.arange(3200) / 5), 16000)
    (root / "utterances.tsv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return root


def measured(path: Path) -> int:
    return num_samples_at(probe(path), 16000)


def read(root: Path, **options: int) -> tuple[list[Utterance], list[str]]:
    problems: list[str] = []
    return list(speechocean762.read(root, measure=measured, on_problem=problems.append, **options)), problems


def of_counts(problems: Sequence[str]) -> list[str]:
    """Return the problems that are about the counts of a whole corpus, which these small ones have not."""
    return [problem for problem in problems if "2500 utterances of 125 speakers expected" in problem]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_both_layouts_hold_the_same(tmp_path: Path, end: str) -> None:
    kaldi, problems = read(write_kaldi(tmp_path / "a" / "speechocean762", rows(), end).parent)
    table, none = read(write_table(tmp_path / "b", rows()))
    assert problems == of_counts(problems)
    assert "expected, found 18 of 6" in problems[0]
    assert "expected, found 6 of 2" in problems[1]
    assert none == []
    assert [(u.id, u.split, u.speaker, u.gender, u.transcript, u.num_samples) for u in kaldi] == [
        (u.id, u.split, u.speaker, u.gender, u.transcript, u.num_samples) for u in table
    ]
    first = kaldi[0]
    assert first.path == "WAVE/SPEAKER0001/000100000.WAV"
    assert (first.language, first.gender, first.split, first.num_samples) == ("en", "female", "train", 3200)
    assert speechocean762.ages(tmp_path / "a") == {f"{n:04d}": 5 + n for n in range(1, 9)}


def test_a_labelled_synthetic_corpus_need_not_be_whole(tmp_path: Path) -> None:
    write_kaldi(tmp_path, rows())
    (tmp_path / "SYNTHETIC.txt").touch()
    assert read(tmp_path)[1] == []


def test_younger_speakers_can_be_left_out(tmp_path: Path) -> None:
    utterances, _ = read(write_table(tmp_path, rows()), min_age=10)
    assert {u.speaker for u in utterances} == {"0005", "0006", "0007", "0008"}


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "old", "new", "lost", "message"),
    [
        ("text", "000100000\tTWO SIX FOUR EIGHT NUMBER  \n", "", 1, "000100000 is not in text; skipped"),
        ("utt2spk", "000100000\t0001\n", "", 1, "000100000 is not in utt2spk; skipped"),
        ("wav.scp", "000100000\tWAVE/SPEAKER0001/000100000.WAV\n", "", 1, "000100000 has no recording in wav.scp"),
        ("wav.scp", "WAVE/SPEAKER0001/000100000.WAV", "sox a.wav -t wav - |", 1, "sox a.wav -t wav - |"),
        ("wav.scp", "WAVE/SPEAKER0001/000100000.WAV", "../other.wav", 1, "a path below"),
        ("wav.scp", "SPEAKER0001/000100000.WAV", "SPEAKER0001/000100001.WAV", 1, "000100001 occurs twice"),
        ("text", "TWO SIX FOUR EIGHT NUMBER  \n", "\n", 1, "there is no transcript; skipped"),
        ("text", "000100001\t", "000100000\t", 1, "000100000 occurs twice; the first counts"),
        ("spk2age", "0001\t6", "0001\tsix", 0, "speaker 0001: an age in years expected, found 'six'"),
        ("spk2gender", "0001\tf\n", "", 0, "speaker 0001: gender m or f expected, found ''"),
    ],
)  # fmt: skip
def test_damage_is_named_and_counted(
    tmp_path: Path, name: str, old: str, new: str, lost: int, message: str
) -> None:
    edited(write_kaldi(tmp_path, rows()) / "train" / name, old, new)
    utterances, problems = read(tmp_path)
    others = [problem for problem in problems if problem not in of_counts(problems)]
    assert len(utterances) == 24 - lost
    assert message in others[0]
    assert str(tmp_path / "train") in others[0]


def test_damaged_rows_of_the_table_are_named(tmp_path: Path) -> None:
    table = write_table(tmp_path, rows()) / "utterances.tsv"
    edited(table, "train\twav/0001/000100000", "dev\twav/0001/000100000")
    edited(table, "wav/0001/000100001.flac", "wav/0001/none.flac")
    (tmp_path / "wav/0001/000100002.flac").write_bytes(b"fLaC")
    utterances, problems = read(tmp_path)
    assert len(utterances) == 21
    assert [problem.split(": ")[0].rpartition(":")[2] for problem in problems] == ["2", "3", "4"]
    edited(table, "gender", "sex")
    with pytest.raises(ValueError, match=r"utterances\.tsv:1: the columns .* expected"):
        read(tmp_path)


def test_what_is_no_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train/wav\.scp and test/wav\.scp are missing"):
        read(tmp_path)
    (write_kaldi(tmp_path, rows()) / "train" / "spk2age").unlink()
    with pytest.raises(FileNotFoundError, match="spk2age"):
        read(tmp_path)


def test_a_speaker_in_both_splits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 speakers are in train and test, such as 0001"):
        read(write_table(tmp_path, [*rows(), ("test", "0001", "HELLO")]))


def made(found: Sequence[Row], **options: object) -> tuple[dict[str, dict[str, list[Utterance]]], list[str]]:
    """Return partition -> side -> utterances, and the notes."""
    notes: list[str] = []
    utterances = [
        Utterance(i, f"{i}.wav", 160_000, transcript=text, speaker=s, gender="mf"[int(s) % 2], split=split)
        for i, split, s, text in facts(found)
    ]
    made_of = partitions(utterances, note=notes.append, problem=notes.append, **options)  # type: ignore[arg-type]
    return {p.name: p.sides for p in made_of}, notes


def speakers(members: Sequence[Utterance]) -> set[str]:
    return {u.speaker or "" for u in members}


def test_partitions_keep_speakers_and_sentences_apart() -> None:
    found, notes = made([*rows(40, 5), ("train", "0001", rows(40, 5)[-1][2])], minutes=(1, 60))
    assert list(found) == ["asr", "asr_1min", "ssl"]
    asr, few, ssl = found["asr"], found["asr_1min"], found["ssl"]
    assert speakers(asr["test"]) == {f"{n:04d}" for n in range(41, 46)}
    assert len(asr["test"]) == 15
    # two of the twenty training speakers of each gender
    assert sorted(int(s) % 2 for s in speakers(asr["valid"])) == [0, 0, 1, 1]
    assert len(asr["train"]) == 36 * 3
    assert "asr: train shares 0 speakers and 1 sentences with valid and test; 1 clips are left out" in notes
    assert any("asr_1h: asr has only 18.0 minutes" in note for note in notes)
    assert (len(few["train"]), len(speakers(few["train"]))) == (6, 6)
    assert few["valid"] == asr["valid"]
    assert few["test"] == asr["test"]
    assert len(ssl["train"]) == len(asr["train"]) + 1  # a held-out sentence may be heard
    assert ssl["valid"] == asr["valid"]
    assert ssl["test"] == []


def test_speakers_of_verification_are_those_of_the_published_sides() -> None:
    spoken = [
        Utterance(i, f"{i}.wav", 1, speaker=s, gender="mf"[int(s) % 2], split=split)
        for i, split, s, _ in facts(rows(20, 5))
    ]
    whole, tuning = verification(spoken, seed=1)
    assert (whole.name, tuning.name) == ("speakers", "speakers_tuning")
    assert {u.id for u in (*whole.train, *whole.test)} == {u.id for u in spoken}
    assert speakers(whole.train) == speakers((*tuning.train, *tuning.valid))
    assert len(speakers(tuning.valid)) == 6
    assert whole.valid == tuning.test == []


def test_validation_speakers_follow_from_the_seed() -> None:
    utterances = [
        Utterance(i, f"{i}.wav", 1, speaker=s, gender="m", split=split)
        for i, split, s, _ in facts(rows(30, 2))
    ]
    first = sides(utterances, seed=1)
    assert first == sides(utterances[::-1], seed=1) != sides(utterances, seed=2)
    assert sum(side == "valid" for side in first.values()) == 3
    few = sides([u for u in utterances if u.speaker in {"0001", "0031"}], seed=1)
    assert few == {"0001": "train", "0031": "test"}


def test_command_writes_manifests_and_what_is_known_of_speakers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    prepare_speechocean762.add_arguments(parser)
    write_kaldi(tmp_path / "corpus", rows())
    given = ["--corpus", str(tmp_path / "corpus"), "--out", str(tmp_path / "out"), "--minutes", "0.02"]
    assert prepare_speechocean762.run(parser.parse_args(given)) == 0
    assert "24 utterances read, 2 problems" in capsys.readouterr().out
    assert next(read_labels(tmp_path / "out/asr", "test", "wrd")) == "two six four eight number xxxxxx"
    assert "'" in read_dictionary(tmp_path / "out/asr_0.02min/dict.ltr.txt")
    assert len(list(read_manifest(tmp_path / "out/ssl", "train"))) == 12
    lines = (tmp_path / "out/speakers.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "speaker\tside\tgender\tage"
    assert sorted(line.split("\t")[1] for line in lines[1:]) == ["test"] * 2 + ["train"] * 4 + ["valid"] * 2
    assert len((tmp_path / "out/problems.txt").read_text(encoding="utf-8").splitlines()) == 2
    assert prepare_speechocean762.run(parser.parse_args([*given, "--verification"])) == 0
    assert len(list(read_manifest(tmp_path / "out/speakers", "train"))) == 18


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no {REAL}")
def test_real_copy() -> None:
    found = list(speechocean762.read(REAL, measure=lambda path: path.stat().st_size))
    assert len(found) == 2560
    assert [len(speakers([u for u in found if u.split == split])) for split in ("train", "test")] == [67, 61]
    assert min(speechocean762.ages(REAL).values()) == 19
