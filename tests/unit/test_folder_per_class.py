"""Data sets of anybody: a folder per class or a table, measured, and what is said of recordings that cannot be used."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from fairseq_ext.corpora import class_partitions, folder_per_class, table
from fairseq_ext.corpora.labelled_corpus import UNKNOWN_SPEAKER, LabelledCorpus, Recording, collect


@dataclass(frozen=True)
class Info:
    """Length of a file that a test does not need to be audio."""

    sample_rate_hz: int
    num_samples: int


def probe(path: Path) -> Info:
    """Read "RATE LENGTH" from a text file."""
    rate, length = path.read_text().split()
    return Info(int(rate), int(length))


def write(root: Path, *paths: str, content: str = "8000 4000") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)


def read_folder(root: Path, **options: str) -> tuple[list[Recording], list[str]]:
    problems: list[str] = []
    found = folder_per_class.read(root, suffixes={".wav", ".mp3"}, on_problem=problems.append, **options)
    return list(found), [problem.removeprefix(f"{root}/") for problem in problems]


def test_speaker_is_a_folder_or_a_part_of_the_name(tmp_path: Path) -> None:
    write(tmp_path, "sad/anna/day1/1.wav", "sad/anna/2.MP3", "calm/pau/1.wav")
    found, problems = read_folder(tmp_path, speaker="2")
    assert [(r.path, r.label, r.speaker) for r in found] == [
        ("calm/pau/1.wav", "calm", "pau"),
        ("sad/anna/2.MP3", "sad", "anna"),
        ("sad/anna/day1/1.wav", "sad", "anna"),
    ]
    assert problems == []
    names, _ = read_folder(tmp_path, speaker=r"/(?P<speaker>[a-z]+)/", group=r"(?P<group>\d)\.")
    assert [(r.speaker, r.group) for r in names] == [("pau", "1"), ("anna", "2"), ("anna", "1")]


def test_files_that_are_left_out_are_listed_with_the_reason(tmp_path: Path) -> None:
    write(
        tmp_path,
        "sad/anna/1.wav",
        "sad/1.wav",
        "sad/anna/notes.txt",
        "stray.wav",
        "sad/.hidden.wav",
        ".x/1.wav",
    )
    write(tmp_path, "SYNTHETIC.txt")
    found, problems = read_folder(tmp_path, speaker="2")
    assert [r.path for r in found] == ["sad/anna/1.wav"]
    assert problems == [
        "sad/1.wav: its path has no speaker (2); skipped",
        "sad/anna/notes.txt: .txt is no audio format; skipped",
        "stray.wav: it is in no class folder; skipped",
    ]


def test_folder_is_followed_through_links(tmp_path: Path) -> None:
    write(tmp_path / "real", "sad/anna/1.wav")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert len(read_folder(tmp_path / "link")[0]) == 1
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        read_folder(tmp_path / "none")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("0", "neither the number"), ("[a-z]+", "neither the number"), ("(?P<speaker>", "correct")],
)
def test_unusable_pattern(tmp_path: Path, pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"--speaker {re.escape(repr(pattern))}: .*{message}"):
        read_folder(tmp_path, speaker=pattern)


def read_table(path: Path, text: str, **columns: str) -> tuple[list[Recording], list[str]]:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    problems: list[str] = []
    found = list(table.read(path, columns=columns, on_problem=problems.append))
    return found, [problem.removeprefix(f"{path}:") for problem in problems]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_table_of_any_separator(tmp_path: Path, separator: str, line_end: str, mark: str) -> None:
    rows = (
        ("path", "emotion", "actor", "split"),
        ("a.wav", "sad", "anna", "Dev"),
        ("b.wav", "calm", "pau", "test"),
    )
    text = mark + line_end.join(separator.join(row) for row in rows) + line_end
    columns = {"class": "emotion", "speaker": "actor"}
    found, problems = read_table(tmp_path / "t.csv", text, **columns)
    assert [(r.path, r.label, r.speaker, r.split) for r in found] == [
        ("a.wav", "sad", "anna", "Dev"),
        ("b.wav", "calm", "pau", "test"),
    ]
    assert problems == []


def test_rows_that_are_left_out_are_listed_with_their_line(tmp_path: Path) -> None:
    text = (
        "path,class,text,start,end\n"
        'a.wav,sad,"well, two\nlines",0.5,1.5\n'
        "b.wav,,x,,\n"
        "c.wav,sad\n"
        "\n"
        "d.wav,sad,x,soon,2\n"
        "e.wav,sad,\udcff,,\n"
        "f.wav,calm,x,,2\n"
    )
    found, problems = read_table(tmp_path / "t.csv", text, speaker="(?P<speaker>^[a-z])")
    assert [(r.path, r.speaker, r.text, r.start_s, r.end_s) for r in found] == [
        ("a.wav", "a", "well, two lines", 0.5, 1.5),
        ("f.wav", "f", "x", 0.0, 2.0),
    ]
    assert problems == [
        "4: its class is empty; skipped",
        "5: 2 cells in a table of 5 columns; skipped",
        "7: its start 'soon' is no number of seconds; skipped",
        "8: it is not UTF-8; convert the table with iconv; skipped",
    ]


def test_quotes_between_tabs_are_text(tmp_path: Path) -> None:
    found, _ = read_table(tmp_path / "t.tsv", 'path\tclass\ttext\na.wav\tsad\t"Oh\nb.wav\tcalm\tno" no\n')
    assert [r.text for r in found] == ['"Oh', 'no" no']


def test_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"t.csv:1: the header has no column 'class' .*\['path', 'emotion'\].*--class"
    ):
        read_table(tmp_path / "t.csv", "path,emotion\na.wav,sad\n")
    with pytest.raises(ValueError, match=r"--speaker 'actor': it is neither"):
        read_table(tmp_path / "t.csv", "path,class\na.wav,sad\n", speaker="actor")


def recordings(**options: float | str) -> list[Recording]:
    return [
        Recording(f"t.csv:{number}", f"{label}_{speaker}.wav", label, speaker, **options)  # type: ignore[arg-type]
        for number, (label, speaker) in enumerate(
            ((c, s) for c in ("sad", "very calm") for s in ("a", "b", "c")), 2
        )
    ]


def corpus(root: Path, found: list[Recording], **options: object) -> tuple[LabelledCorpus, list[str]]:
    problems: list[str] = []
    return collect(root, found, probe, on_problem=problems.append, **options), problems  # type: ignore[arg-type]


def test_sample_rate_is_that_of_the_files(tmp_path: Path) -> None:
    found = recordings()
    write(tmp_path, *(r.path for r in found))
    made, problems = corpus(tmp_path, found)
    assert (made.sample_rate_hz, problems) == (8000, [])
    assert Counter(made.classes.values()) == {"sad": 3, "very_calm": 3}
    assert made.utterances[0].id == "sad_a"
    write(tmp_path, "sad_a.wav", content="16000 4001")
    with pytest.raises(ValueError, match=r"several sample rates \(8000 Hz: 5, 16000 Hz: 1\); choose one"):
        corpus(tmp_path, found)
    made, _ = corpus(tmp_path, found, sample_rate_hz=8000)
    assert [u.num_samples for u in made.utterances[:2]] == [2001, 4000]


def test_class_goes_to_the_column_of_its_name(tmp_path: Path) -> None:
    found = recordings()
    write(tmp_path, *(r.path for r in found))
    made, _ = corpus(tmp_path, found, stream="emotion")
    assert made.utterances[-1].emotion == "very_calm"


def test_segments_of_a_file(tmp_path: Path) -> None:
    times = ((0.0, 0.25), (0.25, 0.5), (0.25, 0.9), (0.3, 0.2), (0.1, None))
    found = [
        Recording(f"t.csv:{number}", "long.wav", ("sad", "calm")[number % 2], "a", start_s=start, end_s=end)
        for number, (start, end) in enumerate(times)
    ]
    write(tmp_path, "long.wav")
    made, problems = corpus(tmp_path, found)
    assert [(u.id, u.start_s, u.num_samples) for u in made.utterances] == [
        ("long_0.00_0.25", 0.0, 2000),
        ("long_0.25_0.50", 0.25, 2000),
        ("long_0.10_0.50", 0.1, 3200),
    ]
    assert problems == [
        "t.csv:2: 0.25 to 0.9 s is no part of 0.50 s of audio; skipped",
        "t.csv:3: 0.3 to 0.2 s is no part of 0.50 s of audio; skipped",
    ]


def test_unusable_recordings_are_reported_once(tmp_path: Path) -> None:
    found = recordings()
    write(tmp_path, *(r.path for r in found[1:]))
    nameless = Recording("t.csv:9", found[1].path, "sad")
    made, problems = corpus(tmp_path, [*found, found[2], nameless])
    assert len(made.utterances) == 5
    assert [problem.split(":")[1] for problem in problems] == ["2", "4", "9"]
    assert "sad_c occurs twice" in problems[1]
    assert "its speaker is not known" in problems[2]


def test_unknown_speakers_need_consent(tmp_path: Path) -> None:
    found = [Recording("x", f"{label}{n}.wav", label) for label in ("sad", "calm") for n in range(5)]
    write(tmp_path, *(r.path for r in found))
    with pytest.raises(ValueError, match=r"no speaker is known.*--speaker.*--no-speakers"):
        corpus(tmp_path, found)
    made, _ = corpus(tmp_path, found, needs_speaker=False)
    assert {u.speaker for u in made.utterances} == {UNKNOWN_SPEAKER}
    assert all(p.shares_speakers for p in class_partitions.partitions(made, ["leaky"], stream="class"))
    with pytest.raises(ValueError, match="2 speakers or more are needed"):
        list(class_partitions.partitions(made, ["leave_one_speaker_out"], stream="class"))
    with pytest.raises(ValueError, match=r"2 classes or more are needed, found \['sad'\]"):
        corpus(tmp_path, found[:5], needs_speaker=False)


def test_chosen_partitions(tmp_path: Path) -> None:
    found = recordings(group="g", split="training")
    write(tmp_path, *(r.path for r in found))
    made, _ = corpus(tmp_path, found)

    def names(*chosen: str, **options: object) -> list[str]:
        return [p.name for p in class_partitions.partitions(made, chosen, stream="class", **options)]  # type: ignore[arg-type]

    assert names("leave_one_speaker_out", "leaky")[:4] == [
        "leave_one_speaker_out/a",
        "leave_one_speaker_out/b",
        "leave_one_speaker_out/c",
        "leaky/0",
    ]
    assert names("leave_one_speaker_out", max_folds=2) == [
        "leave_one_speaker_out/fold01",
        "leave_one_speaker_out/fold02",
    ]
    lists = {"train": ["a", "b"], "test": ["c"]}
    # One recording per class and speaker: labels/2 would be a copy of labels/1 under another name.
    assert names("published", "few_labels", lists=lists) == ["published", "labels/1"]
    with pytest.raises(ValueError, match="published: 6 utterances to train on and 0 to test on"):
        names("published")
    with pytest.raises(ValueError, match="2 groups or more are needed"):
        names("leave_one_group_out")
    plain, _ = corpus(tmp_path, recordings())
    few = [p.name for p in class_partitions.partitions(plain, ["few_labels"], stream="class")]
    assert few == ["labels_1/a", "labels_1/b", "labels_1/c"]


def test_what_a_published_split_leaves_out_is_counted(tmp_path: Path) -> None:
    found = recordings()
    write(tmp_path, *(r.path for r in found))
    made, _ = corpus(tmp_path, found)
    left_out: list[str] = []
    lists = {"train": ["a"], "test": ["b", "nobody"]}
    options = {"stream": "class", "lists": lists, "on_problem": left_out.append}
    (partition,) = class_partitions.partitions(made, ["published"], **options)  # type: ignore[arg-type]
    assert (len(partition.train), len(partition.test)) == (2, 2)
    assert [line.partition(":")[0] for line in left_out] == ["sad_c", "very calm_c", "list test"]
    assert "'nobody' is no speaker and no recording" in left_out[-1]


def test_classes_that_would_share_a_symbol_are_refused(tmp_path: Path) -> None:
    found = [*recordings(), Recording("x", "other.wav", "very_calm", "a")]
    write(tmp_path, *(r.path for r in found))
    with pytest.raises(
        ValueError, match=r"\['very calm', 'very_calm'\] would both be written very_calm; rename"
    ):
        corpus(tmp_path, found)


def test_every_fold_has_every_class_and_says_what_it_cannot_learn(tmp_path: Path) -> None:
    found = [*recordings(), Recording("x", "rare.wav", "rare", "a")]
    write(tmp_path, *(r.path for r in found))
    made, _ = corpus(tmp_path, found)
    folds = list(class_partitions.partitions(made, ["leave_one_speaker_out"], stream="class"))
    assert [list(fold.dictionaries["class"]) for fold in folds] == [["rare", "sad", "very_calm"]] * 3
    assert [class_partitions.unlearnable(fold, "class") for fold in folds] == [["rare"], [], []]
