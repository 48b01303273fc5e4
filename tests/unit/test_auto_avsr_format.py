"""auto_avsr's label files: there and back, its numbering of units, other layouts, what is refused."""

from pathlib import Path

import pytest

from fairseq_ext.corpora import auto_avsr_format
from fairseq_ext.corpora.clip_layout import audio_path
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.text.units import SentencePieces, train_pieces

TEXTS = ["ça va de l'été à noël", "la mer la mer", "un été à la mer"]


@pytest.fixture(name="pieces", scope="module")
def fixture_pieces() -> SentencePieces:
    return train_pieces(TEXTS, 40)


def write_clips(root: Path, names: list[str], texts: list[str] = TEXTS) -> tuple[Path, list[Utterance]]:
    utterances = [
        Utterance(name, audio_path(name), 640 * (25 + i), 25 + i, transcript=text, split="train")
        for i, (name, text) in enumerate(zip(names, texts, strict=True))
    ]
    write_manifest(root / "m", "train", utterances, root=root / "clips")
    return root / "m", utterances


def test_there_and_back(tmp_path: Path, pieces: SentencePieces) -> None:
    folder, utterances = write_clips(
        tmp_path, ["fr/train/0u7tTptBo9I_0004", "id08977/3ap0QSyN6Vc/00008", "a_1.0_2.0"]
    )
    assert auto_avsr_format.export(folder, "train", tmp_path / "out", pieces) == 3
    units = auto_avsr_format.read_units(tmp_path / "out" / "units.txt")
    assert list(auto_avsr_format.read(tmp_path / "out" / "train.csv", units)) == utterances
    rows = [line.split(",") for line in (tmp_path / "out" / "train.csv").read_text().splitlines()]
    assert rows[0][:3] == ["clips", "video/fr/train/0u7tTptBo9I_0004.mp4", "25"]
    for (*_, ids), text in zip(rows, TEXTS, strict=True):
        assert [units[int(i)] for i in ids.split()] == pieces.encode(text)


def test_units_are_numbered_as_there(tmp_path: Path, pieces: SentencePieces) -> None:
    folder, _ = write_clips(tmp_path, ["a", "b", "c"])
    auto_avsr_format.export(folder, "train", tmp_path, pieces, dataset="mtedx")
    lines = (tmp_path / "units.txt").read_text().splitlines()
    assert lines[0] == "<unk> 1"  # 0 is the blank
    assert [line.split() for line in lines[1:]] == [[s, str(i)] for i, s in enumerate(pieces.symbols, 2)]
    assert (tmp_path / "train.csv").read_text().startswith("mtedx,video/a.mp4,25,")


def test_characters_that_the_model_never_saw(tmp_path: Path, pieces: SentencePieces) -> None:
    folder, _ = write_clips(tmp_path, ["a", "b", "c"], ["la 海 mer", "la mer", "un"])
    auto_avsr_format.export(folder, "train", tmp_path, pieces)
    units = auto_avsr_format.read_units(tmp_path / "units.txt")
    with pytest.raises(ValueError, match=r"train\.csv:1: .* are not all ids of known units"):
        list(auto_avsr_format.read(tmp_path / "train.csv", units))
    problems: list[str] = []
    found = list(auto_avsr_format.read(tmp_path / "train.csv", units, on_problem=problems.append))
    assert [u.transcript for u in found] == ["la mer", "un"]
    assert len(problems) == 1


def test_a_file_of_others(tmp_path: Path) -> None:
    (tmp_path / "lrs3_test.csv").write_text("lrs3,lrs3_video_seg24s/test/abc/00001.mp4,75,2 3\n")
    found = list(auto_avsr_format.read(tmp_path / "lrs3_test.csv", {2: "▁o", 3: "k"}))
    name = "lrs3_video_seg24s/test/abc/00001"
    assert found == [Utterance(name, f"{name}.wav", 48000, 75, transcript="ok", split="lrs3_test")]


@pytest.mark.parametrize(
    "row", ["lrs3,a.mp4,75", "lrs3,a,b.mp4,75,2", "lrs3,a.mp4,many,2", "lrs3,a.mp4,75,2 x", "lrs3,,75,2", ""]
)
def test_a_bad_row_is_refused(tmp_path: Path, row: str) -> None:
    (tmp_path / "x.csv").write_text(f"lrs3,a.mp4,75,2\n{row}\n")
    with pytest.raises(
        ValueError, match=r"x\.csv:2: '.*' is not of the form `dataset,path,frames,token ids`"
    ):
        list(auto_avsr_format.read(tmp_path / "x.csv", {2: "▁o"}))


@pytest.mark.parametrize("text", ["<unk>\n", "a 2\nb 2\n", "a two\n", " 2\n"])
def test_bad_units_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "units.txt").write_text(text)
    with pytest.raises(ValueError, match="is not `unit id` with an id that occurs once"):
        auto_avsr_format.read_units(tmp_path / "units.txt")


def test_a_comma_in_a_name_is_refused(tmp_path: Path, pieces: SentencePieces) -> None:
    folder, _ = write_clips(tmp_path, ["a", "b,c", "d"])
    with pytest.raises(ValueError, match=r"a comma in .* would end a column"):
        auto_avsr_format.export(folder, "train", tmp_path / "out", pieces)
    assert not list((tmp_path / "out").iterdir())
