"""RAVDESS: the published layout, the real recordings, whatever does not belong."""

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from emotion_trees import Name, by_name, write_ravdess, write_recording

from fairseq_ext.corpora import ravdess
from fairseq_ext.manifest import Utterance
from fairseq_ext.media.audio import num_samples_at, probe
from fairseq_ext.media.content import content_of

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "ravdess"
real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the real recordings are not here: {REAL}")


def read(root: Path, measure: Callable[[Path], object] = content_of) -> tuple[list[Utterance], list[str]]:
    problems: list[str] = []
    found = list(ravdess.read(root, measure=measure, sample_rate_hz=16000, on_problem=problems.append))  # type: ignore[arg-type]
    return found, problems


def skipped(problems: list[str]) -> list[str]:
    """Return the problems of files, without those of counts, which small corpora have."""
    return [line for line in problems if line.endswith("skipped")]


def whole(root: Path) -> Path:
    """Write the names of the whole corpus, as empty files."""
    for actor in ravdess.ACTORS:
        (root / f"Actor_{actor}").mkdir(parents=True)
        for name in ravdess.published_ids(actor):
            (root / f"Actor_{actor}" / f"{name}.wav").touch()
    return root


def test_the_whole_corpus_has_no_problems(tmp_path: Path) -> None:
    found, problems = read(whole(tmp_path), by_name)
    assert not problems
    assert len(found) == 1440
    assert Counter(u.emotion for u in found) == {
        "neutral": 96, **dict.fromkeys(("calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 192)
    }  # fmt: skip
    assert Counter(u.speaker for u in found) == {f"Actor_{actor}": 60 for actor in ravdess.ACTORS}
    assert Counter(u.gender for u in found) == {"male": 720, "female": 720}
    streams = ravdess.streams(tmp_path)
    assert Counter(map(streams["intensity"], found)) == {"normal": 768, "strong": 672}
    assert Counter(map(streams["sentence"], found)) == {"1": 720, "2": 720}
    assert Counter(map(streams["take"], found)) == {"1": 720, "2": 720}
    assert found[0].transcript == "Kids are talking by the door"
    assert {u.gender for u in found if u.speaker == "Actor_02"} == {"female"}


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    root = whole(tmp_path)
    shutil.rmtree(root / "Actor_09")
    (root / "Actor_07" / "03-01-03-01-02-02-07.wav").unlink()
    _, problems = read(root, by_name)
    assert problems == [
        f"{root}: 24 actors expected, found 23; without 09",
        f"{root}: actor 07: 60 recordings expected, found 59; without 03-01-03-01-02-02-07",
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Actor_01/03-02-05-01-01-01-01.wav", "it is a song"),
        ("Actor_01/01-01-05-01-01-01-01.mp4", "it is a video"),
        ("Actor_01/02-01-05-01-01-01-01.mp4", "it is a video"),
        ("Actor_01/03-01-09-01-01-01-01.wav", "the emotion 01 or 02 or 03 .* expected, found 09"),
        ("Actor_01/03-01-01-02-01-01-01.wav", "the intensity 01 expected, found 02"),
        ("Actor_01/03-01-05-01-03-01-01.wav", "the statement 01 or 02 expected, found 03"),
        ("Actor_01/03-01-05-01-01-03-01.wav", "the take 01 or 02 expected, found 03"),
        ("Actor_25/03-01-05-01-01-01-25.wav", "the actor .* expected, found 25"),
        ("Actor_02/03-01-05-02-01-01-01.wav", "actor 01 by its name and 02 by its folder"),
        ("Actor_01/notes.txt", "its name is not of the form"),
        ("Actor_01/03-01-05-01-01-01-01 (1).wav", "its name is not of the form"),
    ],
)
def test_what_does_not_belong_is_named_and_skipped(tmp_path: Path, name: str, reason: str) -> None:
    root = write_ravdess(tmp_path)
    write_recording(root / "x.wav", 99)
    (root / name).parent.mkdir(exist_ok=True)
    (root / "x.wav").rename(root / name)
    found, problems = read(root)
    (line,) = skipped(problems)
    assert len(found) == 16
    assert line.startswith(f"{root / name}: ")
    assert re.search(reason, line)


def test_a_second_corpus_in_a_folder_of_its_own_is_found_by_content(tmp_path: Path) -> None:
    root = write_ravdess(tmp_path)
    shutil.copytree(root, root / "audio_speech_actors_01-24", ignore=shutil.ignore_patterns("audio_*"))
    found, problems = read(root)
    assert len(found) == 16
    assert len(skipped(problems)) == 16
    assert all("a copy, the same audio as" in line for line in skipped(problems))


def test_a_take_under_two_names_counts_once(tmp_path: Path) -> None:
    root = write_ravdess(tmp_path)
    first, second = (root / "Actor_01" / f"03-01-05-01-01-{take}-01.wav" for take in ("01", "02"))
    shutil.copyfile(first, second)
    found, problems = read(root)
    assert skipped(problems) == [
        f"{second}: a copy, the same audio as Actor_01/03-01-05-01-01-01-01.wav; skipped"
    ]
    assert first.stem in {u.id for u in found}
    assert len(found) == 15


def test_a_copy_in_another_format_or_louder_is_found_too(tmp_path: Path) -> None:
    root = write_ravdess(tmp_path, rate_hz=16000, num_samples=8000)
    for take, name, gain in (
        ("01", "03-01-05-02-01-01-01.mp3", 1.0),
        ("02", "03-01-05-02-01-02-01.wav", 0.3),
    ):
        samples, rate_hz = soundfile.read(root / "Actor_01" / f"03-01-05-01-01-{take}-01.wav")
        soundfile.write(root / "Actor_01" / name, gain * samples, rate_hz)
    found, problems = read(root)
    assert len(found) == 16
    assert [line.partition(": ")[2] for line in skipped(problems)] == [
        f"a copy, the same audio as Actor_01/03-01-05-01-01-{take}-01.wav; skipped" for take in ("01", "02")
    ]


def test_one_content_under_two_emotions_or_actors_is_left_out(tmp_path: Path) -> None:
    root = write_ravdess(tmp_path)
    shutil.copyfile(root / "Actor_01/03-01-05-01-01-01-01.wav", root / "Actor_01/03-01-01-01-01-01-01.wav")
    shutil.copyfile(root / "Actor_01/03-01-05-01-02-01-01.wav", root / "Actor_02/03-01-05-01-02-01-02.wav")
    found, problems = read(root)
    assert len(found) == 12
    assert len(skipped(problems)) == 4
    assert "but other labels (angry of Actor_01 and neutral of Actor_01)" in skipped(problems)[0]
    assert "but other labels (angry of Actor_01 and angry of Actor_02)" in skipped(problems)[2]


def test_two_recordings_of_one_name_are_not_mixed(tmp_path: Path) -> None:
    root = write_ravdess(tmp_path)
    write_recording(root / "more" / "Actor_01" / "03-01-05-01-01-01-01.wav", 77)
    found, problems = read(root)
    assert len(found) == 16
    assert "the name of Actor_01/03-01-05-01-01-01-01.wav, with other audio" in problems[0]


def test_the_folder_of_one_actor_is_read_too(tmp_path: Path) -> None:
    root = write_ravdess(tmp_path)
    found, problems = read(root / "Actor_02")
    assert len(found) == 8
    assert {u.path for u in found} == {path.name for path in (root / "Actor_02").iterdir()}
    assert not skipped(problems)


def test_of_a_folder_above_it_nothing_else_is_read(tmp_path: Path) -> None:
    write_ravdess(tmp_path / "ravdess")
    write_recording(tmp_path / "mine" / "a.wav", 99)
    found, problems = read(tmp_path)
    assert found[0].path == "Actor_01/03-01-01-01-01-01-01.wav"
    assert not skipped(problems)
    write_ravdess(tmp_path / "songs", actors=(3,))
    assert ravdess.recordings_folder(tmp_path) == tmp_path


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Actor_01").mkdir()
    with pytest.raises(FileNotFoundError, match="pass the folder that holds Actor_01"):
        ravdess.recordings_folder(tmp_path)


@real
def test_the_real_recordings() -> None:
    def header(path: Path) -> Name:
        return Name(str(path), num_samples_at(probe(path), 16000))

    found, problems = read(REAL, header)
    assert len(found) == 1439
    assert problems == [f"{REAL}: actor 07: 60 recordings expected, found 59; without 03-01-03-01-02-02-07"]
    assert Counter(u.emotion for u in found)["happy"] == 191
    assert 2.9 * 16000 < min(u.num_samples for u in found) < max(u.num_samples for u in found) < 5.3 * 16000


@real
def test_damaged_copies_of_real_recordings(tmp_path: Path) -> None:
    folder = tmp_path / "Actor_01"
    folder.mkdir()
    for recording in sorted((REAL / "Actor_01").iterdir())[:6]:
        shutil.copyfile(recording, folder / recording.name)
    names = sorted(path.name for path in folder.iterdir())
    content = (folder / names[0]).read_bytes()
    (folder / names[0]).write_bytes(content[: len(content) // 2])
    (folder / names[1]).write_bytes(b"")
    (folder / names[2]).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    shutil.copyfile(folder / names[4], folder / names[5])
    found, problems = read(tmp_path)
    assert [u.id for u in found] == [Path(name).stem for name in names[3:5]]
    assert [Path(line.split(": ")[0]).name for line in skipped(problems)] == [*names[:3], names[5]]
