"""AVSpeech: its lists, clips and whole videos in the folders that downloaders use, missing ones, damaged rows."""

from pathlib import Path

import pytest

from fairseq_ext.corpora import avspeech

TRAIN = [
    "enSzPLXxw8I,115.715600,119.986533,0.586719,0.401389",
    "mziTtu17RK8,206.200000,210.000000,0.25,0.5",
    "-_x_0abcdEF,90,93.5,0.1,0.2",
]
TEST = ["zzzzzzzzzzz,0.0,3.000000,0.9,0.9"]
NAMES = [
    "enSzPLXxw8I_115.715600_119.986533",
    "mziTtu17RK8_206.200000_210.000000",
    "-_x_0abcdEF_90.000000_93.500000",
]


def write_lists(root: Path, train: list[str] = TRAIN, end: str = "\n") -> None:
    for split, rows in {"train": train, "test": TEST}.items():
        (root / f"avspeech_{split}.csv").write_bytes("".join(row + end for row in rows).encode())


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def read_all(root: Path) -> tuple[list[tuple[avspeech.Utterance, avspeech.Face | None]], list[str]]:
    problems: list[str] = []
    return list(avspeech.clips(root, on_problem=problems.append)), problems


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_listed_clips_with_faces(tmp_path: Path, end: str) -> None:
    write_lists(tmp_path, end=end)
    touch(tmp_path, *(f"train/{name}.mp4" for name in NAMES), "test/zzzzzzzzzzz_0.000000_3.000000.mp4")
    found, problems = read_all(tmp_path)
    assert problems == []
    assert [u.id for u, _ in found] == [*NAMES, "zzzzzzzzzzz_0.000000_3.000000"]
    assert [face for _, face in found] == [(0.586719, 0.401389), (0.25, 0.5), (0.1, 0.2), (0.9, 0.9)]
    assert found[0][0] == avspeech.Utterance(
        NAMES[0], f"train/{NAMES[0]}.mp4", 68335, speaker="enSzPLXxw8I", split="train"
    )
    assert [u.split for u, _ in found] == ["train"] * 3 + ["test"]
    assert found[2][0].speaker == "-_x_0abcdEF"
    assert list(avspeech.read(tmp_path)) == [u for u, _ in found]


@pytest.mark.parametrize("pattern", avspeech.CLIP_FOLDERS)
def test_where_clips_are_looked_for(tmp_path: Path, pattern: str) -> None:
    write_lists(tmp_path)
    folder = pattern.format(split="train")
    touch(tmp_path, f"{folder}/{NAMES[0]}.mp4", f"{folder}/-_x_0abcdEF_90_93.5.mkv")
    found, problems = read_all(tmp_path)
    assert [u.id for u, _ in found] == [NAMES[0], NAMES[2]]
    assert all((avspeech.recordings_folder(tmp_path) / u.path).is_file() for u, _ in found)
    assert ["1 of 3 clips are missing" in line for line in problems] == [True, False]


def test_missing_clips_are_counted_once(tmp_path: Path) -> None:
    write_lists(tmp_path, TRAIN * 300)
    found, problems = read_all(tmp_path)
    assert found == []
    assert [line.split(": ", 1)[1].split(" (")[0] for line in problems] == [
        "900 of 900 clips are missing",
        "1 of 1 clips are missing",
    ]


def test_whole_videos_give_segments(tmp_path: Path) -> None:
    write_lists(tmp_path, [*TRAIN, "mziTtu17RK8,1.0,5.0,0.25,0.5"])
    touch(tmp_path, "video/mziTtu17RK8.webm", "video/unknown.mp4", f"train/{NAMES[0]}.mp4")
    found, problems = read_all(tmp_path)
    assert [(u.id, u.path, u.start_s, u.end_s) for u, _ in found] == [
        (NAMES[0], f"train/{NAMES[0]}.mp4", None, None),
        (NAMES[1], "video/mziTtu17RK8.webm", 206.2, 210.0),
        ("mziTtu17RK8_1.000000_5.000000", "video/mziTtu17RK8.webm", 1.0, 5.0),
    ]
    assert found[2][0].num_samples == 64000
    assert ["unknown.mp4" in line for line in problems] == [
        False,
        False,
        True,
    ]  # after the counts of two lists


def test_clips_without_lists(tmp_path: Path) -> None:
    touch(
        tmp_path, f"clips/{NAMES[1]}.mp4", f"test/{NAMES[0]}.mp4", "clips/.hidden.mp4", "clips/x_5.0_4.0.mp4"
    )
    found, problems = read_all(tmp_path)
    assert [(u.id, u.split, face) for u, face in found] == [(NAMES[0], "test", None), (NAMES[1], None, None)]
    assert len(problems) == 2  # no list, and a clip that ends before it starts


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("mziTtu17RK8,210.0,206.2,0.5,0.5", "is not after the start"),
        ("mziTtu17RK8,206.2,206.2,0.5,0.5", "is not after the start"),
        ("mziTtu17RK8,206.2,210.0", "is not of the form `video,start,end,x,y`"),
        ("mziTtu17RK8,nan,210.0,0.5,0.5", "is not of the form `video,start,end,x,y`"),
        ("mziTtu17RK8,206.2,inf,0.5,0.5", "is not of the form `video,start,end,x,y`"),
        ("../../etc,1,2,0.5,0.5", "is not of the form `video,start,end,x,y`"),
        ("id,start,end,x,y", "is not of the form `video,start,end,x,y`"),
        (TRAIN[0], "is listed twice"),
    ],
)
def test_a_bad_row_is_named_and_skipped(tmp_path: Path, row: str, said: str) -> None:
    write_lists(tmp_path, [TRAIN[0], row, TRAIN[2]])
    touch(tmp_path, f"train/{NAMES[0]}.mp4", f"train/{NAMES[2]}.mp4", "test/zzzzzzzzzzz_0_3.mp4")
    found, problems = read_all(tmp_path)
    assert [u.id for u, _ in found[:2]] == [NAMES[0], NAMES[2]]
    assert len(problems) == 1
    assert said in problems[0]
    assert "avspeech_train.csv:2" in problems[0]


@pytest.mark.parametrize("place", ["1.2,0.5", "0.5,-0.1", "nan,0.5"])
def test_a_face_outside_of_the_picture_is_not_known(tmp_path: Path, place: str) -> None:
    write_lists(tmp_path, [f"mziTtu17RK8,206.200000,210.000000,{place}"])
    touch(tmp_path, f"train/{NAMES[1]}.mp4")
    assert [face for _, face in read_all(tmp_path)[0]] == [None]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="avspeech_train"):
        avspeech.recordings_folder(tmp_path / "nowhere")
