"""Common Voice: the layouts of several versions, damage of every kind, genders, accents and speakers."""

import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest

from fairseq_ext.corpora import common_voice, common_voice_accents
from fairseq_ext.corpora.common_voice_accents import accent_class, simplify, table, wordings
from fairseq_ext.files import read_lines
from fairseq_ext.manifest import read_manifest, write_manifest

V11 = [
    "client_id",
    "path",
    "sentence",
    "up_votes",
    "down_votes",
    "age",
    "gender",
    "accents",
    "locale",
    "segment",
]
V13 = [*V11[:8], "variant", *V11[8:]]
V17 = ["client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes", *V13[5:]]


def client(name: str) -> str:
    return hashlib.sha512(name.encode()).hexdigest()


def row(columns: list[str], **cells: str) -> str:
    usual = {"up_votes": "2", "down_votes": "0", "locale": "ca"}
    return "\t".join({**usual, **cells}.get(column, "") for column in columns)


def write_tsv(folder: Path, split: str, columns: list[str], rows: list[str], end: str = "\n") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = end.join(["\t".join(columns), *rows, ""])
    (folder / f"{split}.tsv").write_bytes(text.encode())


def clip(number: int) -> str:
    return f"common_voice_ca_{number}.mp3"


def write_locale(folder: Path, columns: list[str] = V17, **extra: str) -> Path:
    """Six clips: train, dev, test, one only validated, one other, one invalidated; clip n lasts n seconds."""
    rows = [
        row(
            columns,
            client_id=client(name),
            path=clip(n),
            sentence=f"Frase {n}.",
            sentence_id=f"id{n}",
            **extra,
        )
        for n, name in enumerate(["anna", "bert", "carme", "anna", "dora", "bert"], 1)
    ]
    for split, members in {
        "train": [0], "dev": [1], "test": [2], "validated": [0, 1, 2, 3], "other": [4], "invalidated": [5],
    }.items():  # fmt: skip
        write_tsv(folder, split, columns, [rows[i] for i in members])
    (folder / "clips").mkdir()
    for n in range(1, 7):
        (folder / "clips" / clip(n)).write_bytes(b"not read")
    durations = "".join(f"{clip(n)}\t{1000 * n}\n" for n in range(1, 7))
    (folder / "clip_durations.tsv").write_text("clip\tduration[ms]\n" + durations)
    return folder


def read_all(root: Path, **settings: object) -> tuple[list[common_voice.Utterance], list[str]]:
    problems: list[str] = []
    return list(common_voice.read(root, on_problem=problems.append, **settings)), problems  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("columns", "extra"),
    [
        ([c.replace("accents", "accent") for c in V11], {"gender": "female", "accent": "balearic"}),
        (V11, {"gender": "female", "accents": "balear"}),
        (V13, {"gender": "female_feminine", "variant": "Balear"}),
        (V17, {"gender": "female_feminine", "accents": "mallorquí|Felanitx", "variant": "Balear"}),
        ([*V17[:8], "accents", *V17[8:]], {"gender": "female_feminine", "accents": "Accent de Mallorca"}),
    ],
)
def test_every_version_reads_alike(tmp_path: Path, columns: list[str], extra: dict[str, str]) -> None:
    utterances, problems = read_all(write_locale(tmp_path / "ca", columns, **extra))
    assert problems == []
    assert [(u.id, u.split) for u in utterances] == [
        ("common_voice_ca_1", "train"),
        ("common_voice_ca_2", "dev"),
        ("common_voice_ca_3", "test"),
        ("common_voice_ca_4", "validated"),
        ("common_voice_ca_5", "other"),
        ("common_voice_ca_6", "invalidated"),
    ]
    first = utterances[0]
    assert (first.path, first.num_samples, first.transcript) == ("common_voice_ca_1.mp3", 16000, "Frase 1.")
    assert (first.language, first.accent, first.gender) == ("ca", "balear", "female")
    assert first.speaker == client("anna")[:12] == utterances[3].speaker


def test_the_folder_is_found_from_above(tmp_path: Path) -> None:
    folder = write_locale(tmp_path / "cv-corpus-17.0-2024-03-15" / "ca")
    for root, locale in [(folder, None), (folder, "ca"), (folder.parent, None), (tmp_path, "ca")]:
        assert common_voice.locale_folder(root, locale) == folder
    assert common_voice.recordings_folder(tmp_path) == folder / "clips"
    write_locale(tmp_path / "cv-corpus-17.0-2024-03-15" / "es")
    with pytest.raises(ValueError, match=r"there are several locales, .*ca, .*es; name one"):
        common_voice.locale_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no locale fr, only .*ca, .*es; pass the unpacked"):
        common_voice.locale_folder(tmp_path, "fr")
    with pytest.raises(FileNotFoundError, match=r"only folders without validated\.tsv and train\.tsv"):
        next(common_voice.read(folder / "clips"))


def test_sentences_are_taken_as_written(tmp_path: Path) -> None:
    """Quotes are not syntax, and ç, à, ŀl pass through the manifest byte for byte."""
    sentence = '"Açò és, allà, un coŀlegi" va dir l\'"altre'
    folder = write_locale(tmp_path / "ca")
    write_tsv(folder, "train", V17, [row(V17, client_id=client("anna"), path=clip(1), sentence=sentence)])
    utterances, problems = read_all(folder)
    assert problems == []
    assert utterances[0].transcript == sentence
    write_manifest(tmp_path / "out", "train", utterances, root=common_voice.recordings_folder(folder))
    assert next(read_manifest(tmp_path / "out", "train")).transcript == sentence
    assert sentence.encode() in (tmp_path / "out" / "train.meta.tsv").read_bytes()


def test_windows_and_byte_order_marks_do_no_harm(tmp_path: Path) -> None:
    folder = write_locale(tmp_path / "ca")
    expected, _ = read_all(folder)
    for path in folder.glob("*.tsv"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_all(folder) == (expected, [])


def test_odd_spaces_and_marks_within_a_sentence(tmp_path: Path) -> None:
    folder = write_locale(tmp_path / "ca")
    odd = row(V17, client_id=client("anna"), path=clip(1), sentence="\ufeffSí\u2028 i\u00a0no\r fi \0")
    write_tsv(folder, "train", V17, [odd])
    assert read_all(folder)[0][0].transcript == "Sí i no fi"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            row(V17, client_id="a" * 128, path=clip(9), sentence="x"),
            r"train\.tsv:3: .*clips has no recording of common_voice_ca_9",
        ),
        (row(V17, client_id="a" * 128, path=clip(1), sentence="x"), r"_1.mp3 occurs twice \(first"),
        (row(V17, client_id="a" * 128, path="../clips/x.mp3"), r"'\.\./clips/x.mp3' is no name of a clip"),
        (row(V17, client_id="a" * 128, path=""), r"'' is no name of a clip"),
        (row(V17, client_id="", path=clip(4)), r"there is no client_id, or "),
        (row(V17[:-1], client_id="a" * 128, path=clip(4)), r"train\.tsv:3: 13 columns expected, found 12"),
        (row(V17, client_id="a" * 128, path=clip(4), sentence="a\tb"), r"13 columns expected, found 14"),
    ],
)  # fmt: skip
def test_a_bad_row_is_reported_and_skipped(tmp_path: Path, bad: str, message: str) -> None:
    folder = write_locale(tmp_path / "ca")
    good = row(V17, client_id=client("anna"), path=clip(1), sentence="Frase 1.")
    write_tsv(folder, "train", V17, [good, bad])
    utterances, problems = read_all(folder)
    assert len(utterances) == 6
    assert len(problems) == 1
    assert re.search(message + r".*; skipped", problems[0])


def test_damaged_text_lengths_and_files(tmp_path: Path) -> None:
    folder = write_locale(tmp_path / "ca")
    lengths = [
        f"{clip(1)}\t0",
        f"{clip(2)}\tlong",
        f"{clip(3)}\t3000",
        f"{clip(5)}\t5000",
        f"{clip(6)}\t6000",
    ]
    (folder / "clip_durations.tsv").write_text("\n".join(["clip\tduration[ms]", *lengths]))
    (folder / "clips" / clip(3)).unlink()
    (folder / "invalidated.tsv").unlink()
    other = folder / "other.tsv"
    other.write_bytes(other.read_bytes() + b"\xff\xfe\n")
    utterances, problems = read_all(folder)
    assert [u.id for u in utterances] == ["common_voice_ca_5"]
    expected = [
        r"clip_durations\.tsv:3: 'common_voice_ca_2.mp3\\tlong' is not a clip and its length in ms",
        r"train\.tsv:2: there is no audio in common_voice_ca_1.mp3, its length is 0; skipped",
        r"dev\.tsv:2: clip_durations\.tsv has no length of common_voice_ca_2.mp3; skipped",
        r"test\.tsv:2: .*clips has no recording of common_voice_ca_3.mp3; skipped",
        r"validated\.tsv:5: clip_durations\.tsv has no length of common_voice_ca_4.mp3",
        r"other\.tsv:3: it is not UTF-8 \(.*\); skipped",
        r"invalidated\.tsv: the file is missing; unpack the corpus again",
    ]
    assert len(problems) == len(expected)
    for problem, pattern in zip(problems, expected, strict=True):
        assert re.search(pattern, problem)


def test_lengths_are_measured_where_the_list_has_none(tmp_path: Path) -> None:
    folder = write_locale(tmp_path / "ca")
    (folder / "clip_durations.tsv").rename(folder / "times.txt")  # corpora 14 to 16
    assert read_all(folder, sample_rate_hz=8000)[0][1].num_samples == 16000
    (folder / "times.txt").write_text(f"{clip(1)}\t1500\n")

    def measure(path: Path) -> int:
        if path.name == clip(3):
            raise ValueError(f"{path}: audio expected, found noise")
        return 7

    utterances, problems = read_all(folder, measure=measure)
    assert [u.num_samples for u in utterances] == [24000, 7, 7, 7, 7]
    assert [p.endswith("audio expected, found noise; skipped") for p in problems] == [True]
    (folder / "times.txt").unlink()
    with pytest.raises(
        ValueError, match=r"clips without clip_durations\.tsv have to be measured; pass measure="
    ):
        next(common_voice.read(folder))


def test_converted_recordings_take_the_place_of_the_clips(tmp_path: Path) -> None:
    folder, audio = write_locale(tmp_path / "ca"), tmp_path / "flac"
    audio.mkdir()
    for name in ["common_voice_ca_1.flac", "common_voice_ca_2.wav", "common_voice_ca_2.flac", "problems.tsv"]:
        (audio / name).write_bytes(b"")
    utterances, problems = read_all(folder, audio=audio, measure=lambda path: 26000)
    assert [(u.path, u.num_samples) for u in utterances] == [
        ("common_voice_ca_1.flac", 26000),
        ("common_voice_ca_2.flac", 26000),
    ]
    assert len(problems) == 4
    assert all(
        f"{audio} has no recording of" in problem and problem.endswith("; skipped") for problem in problems
    )
    assert read_all(folder, audio=audio, measure=lambda path: 11200)[1][0].endswith(
        "dev.tsv:2: 2000 ms of common_voice_ca_2.mp3 expected, found 700 ms; it was cut off; skipped"
    )
    with pytest.raises(ValueError, match="flac: converted recordings have to be measured; pass measure="):
        next(common_voice.read(folder, audio=audio))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty: there are no recordings"):
        next(common_voice.read(folder, audio=tmp_path / "empty", measure=len))  # type: ignore[arg-type]


def test_a_file_without_the_needed_columns(tmp_path: Path) -> None:
    folder = write_locale(tmp_path / "ca")
    write_tsv(folder, "dev", ["path", "sentence"], [f"{clip(2)}\tx"])
    with pytest.raises(ValueError, match=r"dev\.tsv:1: the columns client_id, path, sentence expected"):
        list(common_voice.read(folder))


def test_speakers_keep_the_whole_id_when_the_first_digits_are_shared(tmp_path: Path) -> None:
    folder = write_locale(tmp_path / "ca")
    twin = client("anna")[:12] + "0" * 116
    write_tsv(folder, "other", V17, [row(V17, client_id=twin, path=clip(5), sentence="x")])
    speakers = {u.id: u.speaker for u in read_all(folder)[0]}
    assert speakers["common_voice_ca_5"] == twin
    assert speakers["common_voice_ca_1"] == client("anna")
    assert speakers["common_voice_ca_2"] == client("bert")[:12]


def test_the_rows_state_their_locale(tmp_path: Path) -> None:
    assert common_voice.stated_locale(write_locale(tmp_path / "cat")) == "ca"
    assert common_voice.stated_locale(write_locale(tmp_path / "eu", locale="")) is None
    columns = [column for column in V11 if column != "locale"]
    assert common_voice.stated_locale(write_locale(tmp_path / "gl", columns)) is None


@pytest.mark.parametrize(
    ("stated", "gender"),
    [
        ("male_masculine", "male"),
        ("female", "female"),
        ("non-binary", "other"),
        ("do_not_wish_to_say", None),
        ("", None),
    ],
)
def test_genders(tmp_path: Path, stated: str, gender: str | None) -> None:
    utterances, problems = read_all(write_locale(tmp_path / "ca", gender=stated))
    assert {u.gender for u in utterances} == {gender}
    assert problems == []


def test_an_unknown_gender_is_reported_once(tmp_path: Path) -> None:
    utterances, problems = read_all(write_locale(tmp_path / "ca", gender="new_value"))
    assert {u.gender for u in utterances} == {None}
    assert len(problems) == 1
    assert "the gender 'new_value' is none of" in problems[0]
    assert problems[0].endswith("; taken as not stated")


@pytest.mark.parametrize(
    ("accents", "variant", "expected"),
    [
        ("", "", None),
        ("", "Central", "central"),
        ("nord-occidental", "", "nord-occidental"),
        ("", "Valencià septentrional", "valencià"),
        ("", "Tortosí", "valencià"),
        ("septentrional", "", "septentrional"),
        ("Català de Barcelona", "", "central"),
        ("accent de l'Alt Urgell", "", "nord-occidental"),
        ("Menorquí", "Balear", "balear"),
        ("central,barceloní", "", "central"),
        ("central|estàndard", "", "central"),
        ("central,valencià", "", None),
        ("valencià", "Central", None),
        ("aprenent (recent, des del castellà)", "", None),
        ("aprenent (recent, des d'altres llengües),central", "Central", None),
        ("", "Alguerès", None),
        ("hola que tal, com vas?", "", None),
        ("VALENCIÀ", "", "valencià"),
        ("català", "", None),
    ],
)
def test_catalan_accents(accents: str, variant: str, expected: str | None) -> None:
    assert accent_class("ca", accents, variant) == expected
    assert accent_class("xx", accents, variant) is None


def test_wordings_are_split_at_bars_or_commas_outside_brackets() -> None:
    assert wordings("aprenent (recent, des del castellà), Lleida") == [
        "aprenent (recent, des del castellà)",
        "Lleida",
    ]
    assert wordings("Reus, Camp| Vic |") == ["Reus, Camp", "Vic"]


def test_the_table_of_accents_is_sound() -> None:
    path = Path(common_voice_accents.__file__).with_name("common_voice_accents.tsv")
    rows = [line.split("\t") for line in read_lines(path)]
    assert rows[0] == ["locale", "text", "accent", "origin"]
    assert {r[2] for r in rows[1:]} == {*common_voice_accents.CATALAN, "learner", "other"}
    assert {r[3] for r in rows[1:]} == {"accent", "variant", "free text"}
    keys = [simplify(r[1]) for r in rows[1:]]
    assert all(keys)
    assert len(keys) == len(set(keys)) == len(table("ca"))


def test_unmapped_accents_are_counted(tmp_path: Path) -> None:
    folder = write_locale(tmp_path / "ca", accents="de tot arreu")
    write_tsv(
        folder,
        "other",
        V17,
        [row(V17, client_id=client("d"), path=clip(5), accents="vic", variant="Alguerès")],
    )
    assert common_voice.unmapped_accents(folder) == Counter({"de tot arreu": 5})
    write_tsv(
        folder, "other", V17, [row(V17, client_id=client("d"), path=clip(5), accents="x", variant="Alguerès")]
    )
    assert common_voice.unmapped_accents(folder)["x / Alguerès"] == 1


def test_lists_that_are_needed_have_rows(tmp_path: Path) -> None:
    header = "\t".join(common_voice.REQUIRED_COLUMNS)
    folder = tmp_path / "ca"
    (folder / "clips").mkdir(parents=True)
    for name in ("validated", "train", "test"):
        (folder / f"{name}.tsv").write_text(f"{header}\n" + "\t".join("xyz") + "\n")
    with pytest.raises(FileNotFoundError, match="clips: there are no recordings"):
        common_voice.check_files(folder, ("validated", "train", "test"))
    (folder / "clips" / "y.mp3").touch()
    assert common_voice.check_files(folder, ("validated", "train", "test")) == []
    with pytest.raises(ValueError, match=r"dev\.tsv: the list has no clip \(no such file\); .*drawn"):
        common_voice.check_files(folder, ("train", "dev"))
    (folder / "train.tsv").write_text(f"{header}\n")
    with pytest.raises(ValueError, match=r"train\.tsv: the list has no clip \(no row\)"):
        common_voice.check_files(folder, ("train",))
    (folder / "other.tsv").write_text("path\tsentence\n")
    with pytest.raises(ValueError, match=r"other\.tsv:1: the columns client_id"):
        common_voice.check_files(folder, ("validated",))


def test_every_file_of_a_later_stage_is_checked(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    (folder / "clips").mkdir(parents=True)
    (folder / "clips" / "y.mp3").touch()
    header = "\t".join(common_voice.REQUIRED_COLUMNS)
    (folder / "validated.tsv").write_text(f"{header}\nx\ty\tz\nx\ty\n")
    (folder / "clip_durations.tsv").write_text("clip\tduration[ms]\ny.mp3\tlong\n")
    sentences = folder / "validated_sentences.tsv"
    sentences.write_bytes(b"sentence_id\tsentence\n1\tbon dia\n2\tdos\ttabuladors\n3\t\xff\n")
    problems = common_voice.check_files(folder, ("validated",))
    assert [Path(line.split(":")[0]).name for line in problems] == [
        "validated.tsv", "clip_durations.tsv", "validated_sentences.tsv", "validated_sentences.tsv",
    ]  # fmt: skip
    sentences.write_text("id\ttext\n")
    with pytest.raises(ValueError, match=r"validated_sentences\.tsv:1: the columns sentence expected"):
        common_voice.check_files(folder, ("validated",))
