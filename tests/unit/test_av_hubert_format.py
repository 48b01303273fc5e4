"""AV-HuBERT's manifests: there and back, other layouts, dictionaries, what is refused; the tool."""

import subprocess
import sys
from pathlib import Path

import pytest

from fairseq_ext.corpora import av_hubert_format
from fairseq_ext.corpora.clip_layout import audio_path, clip_id, video_path
from fairseq_ext.dictionary import read_dictionary
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.text.units import SentencePieces, train_pieces

TOOL = Path(__file__).parents[2] / "tools" / "export_manifest.py"
TEXTS = ["ça va de l'été à noël", "la mer la mer", "un été à la mer"]
IDS = ["fr/train/0u7tTptBo9I_0004", "id08977/3ap0QSyN6Vc/00008", "a/audio/b_1.0_2.0"]


def write_clips(root: Path, *, wrd: bool = True, **changes: object) -> tuple[Path, list[Utterance]]:
    """Write a manifest of three clips (their media are never opened) in the splits train and valid."""
    folder = root / "manifests"
    utterances = [
        Utterance(
            name, audio_path(name), 16000 + 640 * i, 25 + i, transcript=text, split="train", speaker="s"
        )
        for i, (name, text) in enumerate(zip(IDS, TEXTS, strict=True))
    ]
    labels = {"wrd": lambda u: (u.transcript or "").replace("ç", "c")} if wrd else None
    for split in ("train", "valid"):
        write_manifest(folder, split, utterances, root=root / "clips", labels=labels)
    return folder, utterances


def test_paths_of_a_clip() -> None:
    for name in IDS:
        assert clip_id(audio_path(name)) == name
    assert video_path(audio_path(IDS[0])) == "video/fr/train/0u7tTptBo9I_0004.mp4"
    for path in ["0_george_0.wav", "audio/.wav", "audio/a.flac", "video/a.wav"]:
        with pytest.raises(ValueError, match=r"is not of the form audio/\{id\}\.wav"):
            video_path(path)


def test_the_files_are_as_described(tmp_path: Path) -> None:
    folder, _ = write_clips(tmp_path)
    assert av_hubert_format.export(folder, "train", tmp_path / "out") == 3
    root = tmp_path / "clips"
    assert (tmp_path / "out" / "train.tsv").read_text().split("\n")[:2] == [
        "/",
        f"{IDS[0]}\t{root}/video/{IDS[0]}.mp4\t{root}/audio/{IDS[0]}.wav\t25\t16000",
    ]
    assert (
        tmp_path / "out" / "train.wrd"
    ).read_text() == "ca va de l'été à noël\nla mer la mer\nun été à la mer\n"


def test_there_and_back(tmp_path: Path) -> None:
    folder, utterances = write_clips(tmp_path, wrd=False)
    av_hubert_format.export(folder, "train", tmp_path / "out")
    back = list(av_hubert_format.read(tmp_path / "out", "train", root=tmp_path / "clips"))
    names = ("id", "path", "num_samples", "num_frames", "transcript", "split")
    assert [[getattr(u, name) for name in names] for u in back] == [
        [getattr(u, name) for name in names] for u in utterances
    ]
    write_manifest(tmp_path / "again", "train", back, root=tmp_path / "clips")
    av_hubert_format.export(tmp_path / "again", "train", tmp_path / "out2")
    for name in ("train.tsv", "train.wrd"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "out2" / name).read_bytes()
    unrooted = list(av_hubert_format.read(tmp_path / "out", "train"))
    assert [Path("/") / u.path for u in unrooted] == [tmp_path / "clips" / u.path for u in utterances]


def test_a_manifest_of_others(tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text(
        "/data/muavic/fr\ntest/x/x_0000\tvideo/test/x/x_0000.mp4\taudio/test/x/x_0000.wav\t50\t32000\n"
    )
    found = list(av_hubert_format.read(tmp_path, "test"))
    assert found == [Utterance("test/x/x_0000", "audio/test/x/x_0000.wav", 32000, 50, split="test")]
    assert (
        next(av_hubert_format.read(tmp_path, "test", root="/data/muavic")).path
        == "fr/audio/test/x/x_0000.wav"
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a\tvideo/a.mp4\taudio/a.wav\t50", "5 tab-separated"),
        ("a\tvideo/a.mp4\taudio/a.wav\tmany\t32000", "numbers of frames"),
        ("a\tmouths/a.mp4\taudio/a.wav\t50\t32000", "give the folder"),
        ("a\tvideo/a.mp4\t/elsewhere/audio/a.wav\t50\t32000", "give the folder"),
        ("a\tvideo/b.mp4\taudio/a.wav\t50\t32000", "give the folder"),
    ],
)
def test_a_bad_row_is_refused(tmp_path: Path, row: str, said: str) -> None:
    (tmp_path / "test.tsv").write_text(f"/data\n{row}\n")
    with pytest.raises(ValueError, match=said) as error:
        list(av_hubert_format.read(tmp_path, "test"))
    assert "test.tsv:2: " in str(error.value)


@pytest.mark.parametrize("text", ["", "\n", "a\tvideo/a.mp4\taudio/a.wav\t50\t32000\n"])
def test_a_file_without_root_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "test.tsv").write_text(text)
    with pytest.raises(ValueError, match=r"test\.tsv:1: '.*' is no root folder"):
        list(av_hubert_format.read(tmp_path, "test", root="/data"))


@pytest.mark.parametrize("lines", [0, 2, 4])
def test_texts_that_are_not_equally_many(tmp_path: Path, lines: int) -> None:
    folder, _ = write_clips(tmp_path)
    av_hubert_format.export(folder, "train", tmp_path / "out")
    for place in (folder, tmp_path / "out"):
        (place / "train.wrd").write_text("x\n" * lines)
    with pytest.raises(ValueError, match="as many rows"):
        list(av_hubert_format.read(tmp_path / "out", "train"))
    with pytest.raises(ValueError, match="as many rows"):
        av_hubert_format.export(folder, "train", tmp_path / "out2")
    assert not list((tmp_path / "out2").iterdir())


@pytest.mark.parametrize(
    "utterance",
    [
        Utterance("a", "audio/a.wav", 16000, transcript="x"),
        Utterance("a", "audio/a.wav", 16000, 25),
        Utterance("a", "audio/a.wav", 16000, 25, transcript="x", start_s=1.0, end_s=2.0),
        Utterance("a", "a.wav", 16000, 25, transcript="x"),
    ],
)
def test_only_prepared_clips_are_exported(tmp_path: Path, utterance: Utterance) -> None:
    write_manifest(tmp_path / "m", "train", [utterance], root=tmp_path, sample_rate_hz=16000)
    with pytest.raises(ValueError, match="prepare"):
        av_hubert_format.export(tmp_path / "m", "train", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_our_own_manifests_are_not_overwritten(tmp_path: Path) -> None:
    folder, _ = write_clips(tmp_path)
    before = (folder / "train.tsv").read_bytes()
    with pytest.raises(ValueError, match="this is the folder of the manifests"):
        av_hubert_format.export(folder, "train", folder)
    assert (folder / "train.tsv").read_bytes() == before


def test_dictionaries(tmp_path: Path) -> None:
    folder, _ = write_clips(tmp_path)
    av_hubert_format.export_dictionary(folder, tmp_path)
    assert (tmp_path / "dict.wrd.txt").read_text().startswith("la 3\nmer 3\n")
    pieces = train_pieces([*TEXTS, "zut"], 30)
    av_hubert_format.export_dictionary(folder, tmp_path, pieces=pieces)
    assert read_dictionary(tmp_path / "dict.wrd.txt") == pieces.symbols
    assert "z 0\n" in (tmp_path / "dict.wrd.txt").read_text()


def test_the_tool(tmp_path: Path) -> None:
    folder, _ = write_clips(tmp_path)
    model = tmp_path / "spm.model"
    train_pieces(TEXTS, 30).save(model)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(TOOL), "--manifest", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run("--to", "av_hubert", "--out", str(tmp_path / "h"), "--pieces", str(model))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/h/train: 3 clips\n{tmp_path}/h/valid: 3 clips\n"
    assert sorted(p.name for p in (tmp_path / "h").iterdir()) == [
        "dict.wrd.txt", "train.tsv", "train.wrd", "valid.tsv", "valid.wrd",
    ]  # fmt: skip
    done = run("--to", "auto_avsr", "--out", str(tmp_path / "a"), "--pieces", str(model), "--splits", "valid")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["units.txt", "valid.csv"]
    refused = run("--to", "av_hubert", "--out", str(folder))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "this is the folder of the manifests" in refused.stderr
    refused = run("--to", "auto_avsr", "--out", str(tmp_path / "a"))
    assert refused.returncode == 2
    command = f"fairseq-ext train pieces --manifest {folder} --out {folder}/spm.model"
    assert f"expected a SentencePiece model, found none; run {command}\n" in refused.stderr
    trained = subprocess.run(
        [sys.executable, TOOL.with_name("train_pieces.py"), *command.split()[3:]],
        capture_output=True,
        text=True,
        check=False,
    )
    num_pieces = len(SentencePieces.load(folder / "spm.model").symbols)
    assert trained.stdout == f"{folder}/spm.model: {num_pieces} pieces of 3 sentences\n"
    done = run("--to", "auto_avsr", "--out", str(tmp_path / "b"), "--pieces", str(folder / "spm.model"))
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["train.csv", "units.txt", "valid.csv"]


def test_splits_that_are_not_there_are_said(tmp_path: Path) -> None:
    folder, _ = write_clips(tmp_path / "fr")
    assert av_hubert_format.find_splits(folder) == ["train", "valid"]
    assert av_hubert_format.find_splits(folder, ["valid"]) == ["valid"]
    with pytest.raises(
        ValueError, match=r"manifests: there is no dev\.tsv, only train, valid; give one of these"
    ):
        av_hubert_format.find_splits(folder, ["train", "dev"])
    with pytest.raises(ValueError, match=r"/fr: there is no train\.tsv; .* folders in it, manifests$"):
        av_hubert_format.find_splits(tmp_path / "fr", ["train"])
    for place in (tmp_path, tmp_path / "gone"):
        with pytest.raises(
            ValueError, match=r"there is no train\.tsv and no valid\.tsv; give the folder that holds"
        ):
            av_hubert_format.find_splits(place, ["train", "valid"])
        with pytest.raises(ValueError, match=r"there is no train\.tsv or valid\.tsv or test\.tsv; "):
            av_hubert_format.find_splits(place)
    with pytest.raises(ValueError, match=r"there is no train\.tsv or .*; .* in it, manifests$"):
        av_hubert_format.find_splits(tmp_path / "fr")
