"""mTEDx: the published layout with its oddities, videos that are there or deleted, damage of every kind."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fairseq_ext.corpora import mtedx
from fairseq_ext.manifest import read_manifest, write_manifest

Segment = tuple[str, str, float, float, str]  # segment, talk, start_s, end_s, text
ROWS: list[Segment] = [
    ("0u7tTptBo9I_0004", "0u7tTptBo9I", 0.1, 1.5, "Et pourtant, on vient tous de l'océan."),
    ("0u7tTptBo9I_0005", "0u7tTptBo9I", 1.2, 2.0, "ça reste un monde étrange"),  # overlaps the one before
    ("-dJ_3mboZJQ_0000", "-dJ_3mboZJQ", 0.0, 0.75, "Merci."),
]


def write_split(
    root: Path, rows: Sequence[Segment] = ROWS, language: str = "fr", split: str = "train", end: str = "\n"
) -> Path:
    """Write a split as published, each talk 2 s of a tone at 8 kHz; return its data folder."""
    data = root / f"{language}-{language}" / "data" / split
    (data / "txt").mkdir(parents=True)
    (data / "wav").mkdir()
    for talk in {row[1] for row in rows}:
        soundfile.write(data / "wav" / f"{talk}.flac", 0.1 * np.sin(np.arange(16000) / 5), 8000)
    segments = [f"{segment} {talk} {start:.2f} {stop:.2f}" for segment, talk, start, stop, _ in rows]
    facts = [
        f"- {{duration: {stop - start:.6f}, offset: {start:.6f}, rW: 3, uW: 0, speaker_id: {talk!r}, wav: {talk}.wav}}"
        for _, talk, start, stop, _ in rows
    ]
    texts = [row[-1] for row in rows]
    for name, lines in {"segments": segments, f"{split}.yaml": facts, f"{split}.{language}": texts}.items():
        (data / "txt" / name).write_bytes("".join(line + end for line in lines).encode())
    return data


def write_videos(root: Path, talks: Sequence[str], pattern: str, suffix: str = ".mp4") -> None:
    folder = root / pattern.format(language="fr", split="train")
    folder.mkdir(parents=True, exist_ok=True)
    for talk in talks:
        (folder / f"{talk}{suffix}").write_bytes(b"not read")


def read_all(root: Path, **settings: object) -> tuple[list[mtedx.Utterance], list[str]]:
    problems: list[str] = []
    return list(mtedx.read(root, splits=["train"], on_problem=problems.append, **settings)), problems  # type: ignore[arg-type]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_split_as_published(tmp_path: Path, end: str) -> None:
    write_split(tmp_path, end=end)
    utterances, problems = read_all(tmp_path)
    assert problems == []
    assert [u.id for u in utterances] == [f"fr/train/{row[0]}" for row in ROWS]
    first = utterances[0]
    assert first == mtedx.Utterance(
        "fr/train/0u7tTptBo9I_0004",
        "fr-fr/data/train/wav/0u7tTptBo9I.flac",
        22400,
        transcript="Et pourtant, on vient tous de l'océan.",
        speaker="0u7tTptBo9I",
        language="fr",
        split="train",
        start_s=0.1,
        end_s=1.5,
    )
    assert utterances[2].speaker == "-dJ_3mboZJQ"  # quoted in the yaml
    for utterance in utterances:
        assert (mtedx.recordings_folder(tmp_path) / utterance.path).is_file()


def test_languages_splits_and_the_folder_of_one_language(tmp_path: Path) -> None:
    for language, split in [("pt", "test"), ("fr", "valid"), ("fr", "train")]:
        write_split(tmp_path, language=language, split=split)
    problems: list[str] = []
    every = list(mtedx.read(tmp_path, on_problem=problems.append))
    assert [u.id.rsplit("/", 1)[0] for u in every[::3]] == ["fr/train", "fr/valid", "pt/test"]
    assert len(problems) == 3  # fr test, pt train and valid are not there
    assert len({u.id for u in every}) == len(every) == 9
    french = list(mtedx.read(tmp_path / "fr-fr", splits=["train", "valid"]))
    assert french == every[:6]
    assert mtedx.recordings_folder(tmp_path / "fr-fr") == tmp_path
    with pytest.raises(FileNotFoundError, match="it-it"):
        list(mtedx.read(tmp_path, languages=["it"]))
    with pytest.raises(FileNotFoundError, match="unpack"):
        list(mtedx.read(tmp_path / "fr-fr" / "data"))


@pytest.mark.parametrize("pattern", mtedx.VIDEO_FOLDERS)
def test_videos_are_found_and_deleted_ones_counted(tmp_path: Path, pattern: str) -> None:
    write_split(tmp_path)
    write_videos(tmp_path, ["-dJ_3mboZJQ"], pattern, ".webm")
    utterances, problems = read_all(tmp_path)
    assert [u.transcript for u in utterances] == ["Merci."]
    assert (tmp_path / utterances[0].path).read_bytes() == b"not read"
    assert len(problems) == 1, problems
    assert "no video for 1 of 2 talks, whose 2 segments" in problems[0]
    assert problems[0].endswith("skipped: 0u7tTptBo9I")
    sound, none = read_all(tmp_path, video=False)
    assert (len(sound), none) == (3, [])
    assert all(u.path.endswith(".flac") for u in sound)


def test_a_language_without_any_video_is_not_taken_from_the_sound_of_others(tmp_path: Path) -> None:
    write_split(tmp_path)
    write_split(tmp_path, language="pt")
    write_videos(tmp_path, ["0u7tTptBo9I", "-dJ_3mboZJQ"], "video/{language}/{split}")
    utterances, problems = read_all(tmp_path)
    assert {u.language for u in utterances} == {"fr"}
    assert "pt-pt/data/train: no video for 2 of 2 talks" in problems[-1]


def test_videos_asked_for_and_none_there(tmp_path: Path) -> None:
    write_split(tmp_path)
    utterances, problems = read_all(tmp_path, video=True)
    assert utterances == []
    assert len(problems) == 1
    assert "2 of 2 talks" in problems[0]


def test_hundreds_of_deleted_talks_are_one_line(tmp_path: Path) -> None:
    text = write_split(tmp_path) / "txt"
    (text / "segments").write_text("".join(f"talk{i}_0 talk{i} 1.00 2.00\n" for i in range(300)))
    (text / "train.fr").write_text("oui\n" * 300)
    (text / "train.yaml").unlink()
    write_videos(tmp_path, ["talk7"], mtedx.VIDEO_FOLDERS[0])
    utterances, problems = read_all(tmp_path)
    assert [u.id for u in utterances] == ["fr/train/talk7_0"]
    assert len(problems) == 2  # and that there is no yaml file
    assert "299 of 300 talks, whose 299 segments are skipped: talk0, talk1, " in problems[1]
    assert problems[1].endswith("talk10, 289 more")


def test_videos_without_the_sound_files(tmp_path: Path) -> None:
    data = write_split(tmp_path)
    for path in (data / "wav").iterdir():
        path.unlink()
    (problem,) = read_all(tmp_path)[1]
    assert "no flac file for 2 of 2 talks" in problem
    write_videos(tmp_path, ["0u7tTptBo9I", "-dJ_3mboZJQ"], mtedx.VIDEO_FOLDERS[0])
    utterances, problems = read_all(tmp_path)
    assert (len(utterances), problems) == (3, [])


def test_a_manifest_of_segments(tmp_path: Path) -> None:
    write_split(tmp_path)
    utterances, _ = read_all(tmp_path)
    write_manifest(tmp_path / "m", "train", utterances, root=tmp_path, sample_rate_hz=mtedx.SAMPLE_RATE_HZ)
    assert list(read_manifest(tmp_path / "m", "train")) == utterances


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (("a_1", "a", 1.0, 1.0, "x"), "is not after the start"),
        (("a_1", "a", 1.5, 0.5, "x"), "is not after the start"),
        (("a_1", "a", 0.1, 0.2, "  "), "the transcript is an empty line"),
        (("0u7tTptBo9I_0004", "0u7tTptBo9I", 0.1, 0.2, "x"), "occurs twice"),
        (("a_1", "a", 2.5, 3.0, "x"), "after the end of a (2.00 s)"),
        (("../a_1", "../a", 0.1, 0.2, "x"), "is not of the form `segment talk start end`"),
        (("a_1", "a b", 0.1, 0.2, "x"), "is not of the form `segment talk start end`"),
        (("a_1", "a", float("nan"), 0.2, "x"), "is no time in seconds"),
        (("a_1", "a", 0.1, float("inf"), "x"), "is no time in seconds"),
        (("a_1", "a", -0.1, 0.2, "x"), "is no time in seconds"),
    ],
)
def test_a_bad_segment_is_named_and_skipped(tmp_path: Path, damage: Segment, said: str) -> None:
    write_split(tmp_path, [ROWS[0], damage, *ROWS[1:]])
    utterances, problems = read_all(tmp_path)
    assert [u.id for u in utterances] == [f"fr/train/{row[0]}" for row in ROWS]
    assert len(problems) == 1
    assert said in problems[0]
    assert "segments:2" in problems[0]


def test_a_segment_longer_than_its_talk_ends_with_it(tmp_path: Path) -> None:
    write_split(tmp_path, [("a_1", "a", 1.5, 9.0, "x")])
    utterances, problems = read_all(tmp_path)
    assert (utterances[0].end_s, utterances[0].num_samples) == (2.0, 8000)
    assert "cut off" in problems[0]


def test_a_missing_line_is_refused(tmp_path: Path) -> None:
    data = write_split(tmp_path)
    texts = data / "txt" / "train.fr"
    whole = texts.read_text()
    texts.write_text(whole.split("\n", 1)[1])
    with pytest.raises(ValueError, match=r"train\.fr: 3 rows, as in segments, expected, found 2"):
        read_all(tmp_path)
    texts.write_text(whole + "\n\n")  # empty lines at the end are no rows
    assert len(read_all(tmp_path)[0]) == 3
    facts = data / "txt" / "train.yaml"
    facts.write_text(facts.read_text() + facts.read_text().split("\n", 1)[0])
    with pytest.raises(ValueError, match=r"train\.yaml: 3 rows, as in segments, expected, found 4"):
        read_all(tmp_path)


def test_an_empty_last_transcript_is_not_a_missing_line(tmp_path: Path) -> None:
    write_split(tmp_path, [*ROWS, ("a_1", "a", 0.1, 0.2, "")])
    utterances, problems = read_all(tmp_path)
    assert len(utterances) == 3
    assert "the transcript is an empty line" in problems[0]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_transcripts_stay_as_written(tmp_path: Path, form: str) -> None:
    text = unicodedata.normalize(form, "« Ça » — l’été ! Œuvre ﬁn")
    write_split(tmp_path, [("a_1", "a", 0.1, 0.2, f"\ufeff {text}\u2028 ")])
    assert read_all(tmp_path)[0][0].transcript == text


def test_a_line_that_is_not_utf_8_moves_no_other(tmp_path: Path) -> None:
    data = write_split(tmp_path)
    path = data / "txt" / "train.fr"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([b"\xe7a", *lines[1:]]))
    utterances, problems = read_all(tmp_path)
    assert [u.transcript for u in utterances] == [row[-1] for row in ROWS[1:]]
    assert "UTF-8" in problems[0]


def test_speakers_of_the_yaml(tmp_path: Path) -> None:
    data = write_split(tmp_path)
    path = data / "txt" / "train.yaml"
    rows = path.read_text().split("\n")
    rows[0] = "# segments\n- {wav: '0u7tTptBo9I.wav', offset: 0.1,\n  duration: 1.4, speaker_id: \"d'Arc\"}"
    path.write_text("\n".join(rows))
    assert read_all(tmp_path)[0][0].speaker == "d'Arc"
    path.unlink()
    utterances, problems = read_all(tmp_path)
    assert [u.speaker for u in utterances] == [row[1] for row in ROWS]
    assert "talks are taken as speakers" in problems[0]


@pytest.mark.parametrize(
    "row",
    [
        "- {duration: 1.4, offset: 0.10, speaker_id: x, wav: other.wav}",
        "- {duration: 1.4, offset: 17.5, speaker_id: x, wav: 0u7tTptBo9I.wav}",
        "- {duration: 1.4, offset: here, speaker_id: x, wav: 0u7tTptBo9I.wav}",
        "- {duration: 1.4, speaker_id: x, wav: 0u7tTptBo9I.wav}",
        "- {duration: 1.4 offset: 0.1 speaker_id: {x}, wav: 0u7tTptBo9I.wav}",
        "- duration: 1.4",
        "- {duration: 1.4",
    ],
)
def test_a_row_of_the_yaml_that_is_of_another_segment(tmp_path: Path, row: str) -> None:
    data = write_split(tmp_path)
    path = data / "txt" / "train.yaml"
    path.write_text("\n".join([row, *path.read_text().split("\n")[1:]]))
    utterances, problems = read_all(tmp_path)
    assert [u.id for u in utterances] == [f"fr/train/{row[0]}" for row in ROWS[1:]]
    assert "segments:1" in problems[-1]


@pytest.mark.parametrize("content", [b"", b"fLaC", b"RIFF" + bytes(100)])
def test_a_talk_that_is_no_flac_is_named_once(tmp_path: Path, content: bytes) -> None:
    data = write_split(tmp_path)
    (data / "wav" / "0u7tTptBo9I.flac").write_bytes(content)
    utterances, problems = read_all(tmp_path)
    assert [u.transcript for u in utterances] == ["Merci."]
    assert len(problems) == 1
    assert f"1 of 2 talks, whose 2 segments are skipped: 0u7tTptBo9I ({content[:4]!r} and" in problems[0]
