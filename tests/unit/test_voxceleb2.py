"""VoxCeleb2: both trees, the spacing of its metadata, leftovers of copying, clips without sound."""

from pathlib import Path

import pytest

from fairseq_ext.corpora import voxceleb2

# As published: blanks before the commas, and one at the end of the header.
META = "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \nid00012 ,n000012 ,m ,dev\nid00016 ,n000016 ,f ,test\n"
CLIPS = ["dev/id00012/21Uxsk56VDQ/00002", "dev/id00012/21Uxsk56VDQ/00001", "test/id00016/-_xMjiPLsfk/00010"]


def write_corpus(root: Path, *, meta: str | None = META) -> Path:
    for clip in CLIPS:
        name, rest = clip.split("/", 1)
        for tree, suffix in voxceleb2.SUFFIXES.items():
            path = root / name / tree / f"{rest}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"not read")
    if meta is not None:
        (root / "vox2_meta.csv").write_bytes(meta.encode())
    return root


def read_all(root: Path, **settings: object) -> tuple[list[voxceleb2.Utterance], list[str]]:
    problems: list[str] = []
    return list(voxceleb2.read(root, on_problem=problems.append, **settings)), problems  # type: ignore[arg-type]


@pytest.mark.parametrize("meta", [META, "\ufeff" + META.replace("\n", "\r\n"), META.replace(" ", "")])
@pytest.mark.parametrize(("tree", "suffix"), voxceleb2.SUFFIXES.items())
def test_the_published_layout(tmp_path: Path, meta: str, tree: str, suffix: str) -> None:
    write_corpus(tmp_path, meta=meta)
    utterances, problems = read_all(tmp_path, tree=tree)
    assert problems == []
    assert [(u.id, u.path, u.speaker, u.gender, u.split) for u in utterances] == [
        ("id00012/21Uxsk56VDQ/00001", f"dev/{tree}/id00012/21Uxsk56VDQ/00001{suffix}", "id00012", "male", "dev"),
        ("id00012/21Uxsk56VDQ/00002", f"dev/{tree}/id00012/21Uxsk56VDQ/00002{suffix}", "id00012", "male", "dev"),
        ("id00016/-_xMjiPLsfk/00010", f"test/{tree}/id00016/-_xMjiPLsfk/00010{suffix}", "id00016", "female", "test"),
    ]  # fmt: skip
    assert {(u.language, u.transcript, u.num_samples) for u in utterances} == {(None, None, 0)}
    assert all((voxceleb2.recordings_folder(tmp_path) / u.path).is_file() for u in utterances)


def test_lengths_are_measured_when_asked_for(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    asked: list[Path] = []

    def measure(path: Path) -> int:
        asked.append(path)
        if path.stem == "00002":
            raise ValueError(f"{path}: media expected, found 8 bytes of text")
        return 0 if path.stem == "00010" else 70000

    utterances, problems = read_all(tmp_path, measure=measure)
    assert [(u.id, u.num_samples, u.gender) for u in utterances] == [
        ("id00012/21Uxsk56VDQ/00001", 70000, "male")
    ]
    assert len(asked) == 3
    assert len(problems) == 2
    assert "found 8 bytes of text" in problems[0]


def test_clips_with_their_sound(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    (tmp_path / "dev/aac/id00012/21Uxsk56VDQ/00001.m4a").unlink()
    found = list(voxceleb2.clips(tmp_path))
    assert [u for u, _ in found] == read_all(tmp_path)[0]
    assert [sound for _, sound in found] == [
        None,
        "dev/aac/id00012/21Uxsk56VDQ/00002.m4a",
        "test/aac/id00016/-_xMjiPLsfk/00010.m4a",
    ]


def test_what_does_not_belong_is_named(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    mp4 = tmp_path / "dev" / "mp4"
    (mp4 / ".DS_Store").touch()
    (mp4 / "id00012" / "21Uxsk56VDQ" / "._00001.mp4").touch()
    (mp4 / "readme.txt").touch()
    (mp4 / "id00012" / "21Uxsk56VDQ" / "00001.mp4.part").touch()
    (mp4 / "id7").mkdir()
    utterances, problems = read_all(tmp_path)
    assert len(utterances) == 3
    assert sorted(Path(problem.split(":")[0]).name for problem in problems) == [
        "00001.mp4.part",
        "id7",
        "readme.txt",
    ]


def test_a_clip_in_both_sets_is_read_once(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    again = tmp_path / "test/mp4/id00012/21Uxsk56VDQ"
    again.mkdir(parents=True)
    (again / "00001.mp4").touch()
    (again / "00003.mp4").touch()
    utterances, problems = read_all(tmp_path)
    ids = [u.id for u in utterances]
    assert len(ids) == len(set(ids)) == 4
    assert len(problems) == 1
    assert "the clip is in dev too" in problems[0]


def test_metadata_missing_or_damaged(tmp_path: Path) -> None:
    write_corpus(tmp_path, meta=None)
    utterances, problems = read_all(tmp_path)
    assert {u.gender for u in utterances} == {None}
    assert len(problems) == 1
    (tmp_path / "vox2_meta.csv").write_text(META.replace("id00012 ,n000012 ,m", "id00012 ,n000012 ,?"))
    utterances, problems = read_all(tmp_path)
    assert [u.gender for u in utterances] == [None, None, "female"]
    assert "vox2_meta.csv:2" in problems[0]


def test_one_set_alone_and_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="unpack"):
        read_all(tmp_path)
    clip = tmp_path / "test/mp4/id00016/-_xMjiPLsfk/00010.mp4"
    clip.parent.mkdir(parents=True)
    clip.touch()
    assert [u.id for u in read_all(tmp_path)[0]] == ["id00016/-_xMjiPLsfk/00010"]
    with pytest.raises(ValueError, match="tree 'wav'"):
        read_all(tmp_path, tree="wav")
