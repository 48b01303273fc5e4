"""L2-ARCTIC: the published layout, tables of speakers, whatever does not belong."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from accent_trees import PUBLISHED, write_l2_arctic, write_speaker, write_table
from emotion_trees import write_recording

from fairseq_ext.corpora import l2_arctic
from fairseq_ext.manifest import Utterance
from fairseq_ext.media.content import content_of


def read(root: Path, *, counts: bool = False) -> tuple[list[Utterance], list[str]]:
    """Return utterances and problems; those about the published counts only with `counts`."""
    problems: list[str] = []
    found = list(l2_arctic.read(root, measure=content_of, on_problem=problems.append))
    return found, [line for line in problems if counts or "expected, found" not in line]


def test_the_table_of_the_speakers_is_the_published_one() -> None:
    table = l2_arctic._read_table(l2_arctic.SPEAKERS, pytest.fail)
    assert len(table) == 24
    assert sum(speaker.num_recordings for speaker in table.values()) == 26_867
    of_each = Counter((speaker.accent, speaker.gender) for speaker in table.values())
    accents = ("Arabic", "Hindi", "Korean", "Mandarin", "Spanish", "Vietnamese")
    assert of_each == {(accent, gender): 2 for accent in accents for gender in ("female", "male")}
    assert {name: table[name].accent for name in PUBLISHED} == PUBLISHED


def test_names_texts_and_streams(tmp_path: Path) -> None:
    found, problems = read(write_l2_arctic(tmp_path / "l2"))
    assert not problems
    assert [u.id for u in found][:3] == ["ABA_arctic_a0001", "ABA_arctic_b0002", "BWC_arctic_a0001"]
    first = found[0]
    assert (first.speaker, first.accent, first.gender, first.language) == ("ABA", "Arabic", "male", "en")
    assert (first.path, first.transcript) == ("ABA/wav/arctic_a0001.wav", "The sentence 0001.")
    assert l2_arctic.streams(tmp_path / "l2")["sentence"](first) == "arctic_a0001"
    assert l2_arctic.recordings_folder(tmp_path) == tmp_path / "l2"
    with pytest.raises(FileNotFoundError, match=r"there is no SPEAKER/wav/arctic_a0001\.wav"):
        l2_arctic.recordings_folder(tmp_path / "l2" / "ABA" / "wav")


def test_counts_that_differ_are_named(tmp_path: Path) -> None:
    problems = read(write_l2_arctic(tmp_path), counts=True)[1]
    assert f"{tmp_path}: speaker SKA: 974 recordings expected, found 2" in problems
    assert problems[0].startswith(f"{tmp_path}: 24 published speakers expected, found 8; without ASI, ")


def test_all_published_counts_are_as_expected() -> None:
    table = l2_arctic._read_table(l2_arctic.SPEAKERS, pytest.fail)
    whole = [Utterance("", "", 1, speaker=name) for name, s in table.items() for _ in range(s.num_recordings)]
    assert len(whole) == 26_867
    assert not list(l2_arctic._count_problems(whole, table))
    assert list(l2_arctic._count_problems(whole[1:], table)) == [
        "speaker ABA: 1129 recordings expected, found 1128"
    ]
    assert not list(l2_arctic._count_problems([], table))


def test_damage_of_each_kind_is_a_line(tmp_path: Path) -> None:
    root = write_l2_arctic(tmp_path)
    wav, texts = root / "ABA" / "wav", root / "ABA" / "transcript"
    soundfile.write(wav / "arctic_a0003.wav", np.zeros(8000), 16000)
    write_recording(wav / "arctic_a0004.wav", 900)
    damaged = (wav / "arctic_a0004.wav").read_bytes()
    (wav / "arctic_a0004.wav").write_bytes(damaged[: len(damaged) // 2])
    (wav / "arctic_a0005.wav").touch()
    write_recording(wav / "arctic_a0006.wav", 901)
    shutil.copyfile(wav / "arctic_a0001.wav", wav / "arctic_a0007.wav")
    (texts / "arctic_a0007.txt").write_text("The sentence 0001.", encoding="utf-8")
    (texts / "arctic_a0008.txt").write_text("Nobody reads this.", encoding="utf-8")
    (texts / "arctic_b0002.txt").write_text("\n", encoding="utf-8")
    (wav / "notes.txt").write_text("to do", encoding="utf-8")
    (wav / "._arctic_a0001.wav").write_bytes(b"\0")
    (wav / "more").mkdir()
    found, problems = read(root)
    own = {u.id: u for u in found if u.speaker == "ABA"}
    assert set(own) == {f"ABA_arctic_{name}" for name in ("a0001", "b0002", "a0006")}
    assert (own["ABA_arctic_a0006"].transcript, own["ABA_arctic_b0002"].transcript) == (None, None)
    for path, said in {
        wav / "arctic_a0003.wav": "it is silent",
        wav / "arctic_a0004.wav": "",
        wav / "arctic_a0005.wav": "",
        wav / "arctic_a0006.wav": "it has no transcript; its text is not known",
        wav / "arctic_a0007.wav": "a copy, the same audio as ABA/wav/arctic_a0001.wav; skipped",
        wav / "notes.txt": "its name is not of the form arctic_a0001.wav; skipped",
        wav / "more": "it is a folder",
        wav: "1 files that macOS has left (._*); skipped",
        texts / "arctic_b0002.txt": "it is empty; the text is not known",
        texts: "1 transcripts have no recording, such as arctic_a0008; not used",
    }.items():
        assert [line for line in problems if line.startswith(f"{path}: {said}")], path
    for name in ("arctic_a0004.wav", "arctic_a0005.wav"):
        assert [
            line for line in problems if line.startswith(f"{wav / name}: ") and line.endswith("; skipped")
        ]


def test_the_suitcase_corpus_and_unknown_speakers_are_left_out_and_counted(tmp_path: Path) -> None:
    root = write_l2_arctic(tmp_path)
    write_speaker(root / "suitcase_corpus", ("aba", "ska", "ybaa"), seed=5000)
    write_speaker(root / "XYZ", seed=6000)
    (root / "docs").mkdir()
    (root / "NJS.zip").touch()
    (root / "ABA.zip").touch()
    (root / "song.mp3").touch()
    (root / "README.md").touch()
    found, problems = read(root)
    assert {u.speaker for u in found} == set(PUBLISHED)
    assert problems == [
        f"{root}/NJS.zip: it is not unpacked; unzip it",
        f"{root}/XYZ: the speaker XYZ is neither a published one nor in speakers.tsv, so that the accent is not known; "
        "2 recordings are left out",
        f"{root}/docs: there is no folder wav in it; skipped",
        f"{root}/song.mp3: it is no folder of a speaker; not read",
        f"{root}/suitcase_corpus: spontaneous speech, 3 recordings; left out, a corpus of its own without prompts",
    ]


def test_an_archive_unpacked_one_level_deeper_is_read_and_reported(tmp_path: Path) -> None:
    root = write_l2_arctic(tmp_path, ["ABA", "SKA"])
    (root / "ABA").rename(root / "moved")
    (root / "ABA").mkdir()
    (root / "moved").rename(root / "ABA" / "ABA")
    found, problems = read(root)
    assert found[0].path == "ABA/ABA/wav/arctic_a0001.wav"
    assert problems == [f"{root}/ABA: it is unpacked one level deeper; read from {root}/ABA/ABA"]
    assert len(found) == 4


def test_ones_own_speakers_by_a_table(tmp_path: Path) -> None:
    for number, name in enumerate(("anna", "pau", "TNI")):
        write_speaker(
            tmp_path / name, ("arctic_a0001",) if name == "TNI" else ("first", "2nd"), seed=number * 50
        )
    table = {"anna": ("Catalan", "F"), "pau": ("Brazilian Portuguese", ""), "TNI": ("Tamil", "female")}
    write_table(tmp_path, table | {"eva": ("Catalan", "f")})
    with (tmp_path / "speakers.tsv").open("a", encoding="utf-8") as file:
        file.write("zoe\t\tfemale\nleo\tCatalan\tx\n")
    found, problems = read(tmp_path, counts=True)
    assert {(u.speaker, u.accent, u.gender) for u in found} == {
        ("anna", "Catalan", "female"), ("pau", "Brazilian Portuguese", None), ("TNI", "Tamil", "female"),
    }  # fmt: skip
    path = tmp_path / "speakers.tsv"
    assert problems == [
        f"{path}:6: a speaker and an accent expected, found 'zoe' and ''; skipped",
        f"{path}:7: the gender female, male or nothing expected, found 'x'; not known",
        f"{path}: TNI is Tamil, female here, published as Hindi, female; taken as here",
        f"{path}: eva has no folder here",
        f"{path}: leo has no folder here",
    ]
    path.write_text("speaker\taccent\tgender\nanna\tA\t\nanna\tB\t\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"speakers\.tsv:3: the speaker anna occurs twice"):
        read(tmp_path)
    path.write_text("speaker\tgender\nanna\tf\n", encoding="utf-8")
    with pytest.raises(ValueError, match="the columns speaker, accent, gender expected"):
        read(tmp_path)
