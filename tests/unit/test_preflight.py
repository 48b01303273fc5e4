"""Preflight: a healthy folder passes; each defect planted alone is found, named, counted and fails."""

import shutil
import subprocess
import sys
import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairseq_ext import preflight
from fairseq_ext.manifest import Utterance, write_dictionary, write_manifest

REPOSITORY = Path(__file__).parents[2]
RATE_HZ = 8000
TEXTS = ("la plaça és àmplia", "col·lega coŀlega", "què hi ha")
SPLITS = {"train": ("anna", "biel"), "valid": ("carla",), "test": ("dídac",)}


def write_wav(path: Path, num_samples: int, rate_hz: int = RATE_HZ, *, silent: bool = False) -> None:
    """A tone of 16 bit."""
    samples = np.sin(np.arange(num_samples) * 0.2) * (0 if silent else 8000)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())


def letters(utterance: Utterance) -> str:
    """Labels of a CTC model."""
    return " ".join((utterance.transcript or "").replace(" ", "|"))


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with audio/ and manifest/ of three splits, two digits per speaker and text."""
    base = tmp_path_factory.mktemp("healthy")
    (base / "audio").mkdir()
    for split, speakers in SPLITS.items():
        utterances = []
        for speaker in speakers:
            for index in range(6):
                name = f"{index % 2}_{speaker}_{index}"
                num_samples = 8000 + 100 * index
                write_wav(base / "audio" / f"{name}.wav", num_samples)
                text = TEXTS[index % 3]
                utterances.append(
                    Utterance(name, f"{name}.wav", num_samples, transcript=text, speaker=speaker)
                )
        labels = {"digit": lambda u: u.id[0], "ltr": letters, "wrd": lambda u: u.transcript or ""}
        write_manifest(base / "manifest", split, utterances, root=base / "audio", labels=labels)
    write_dictionary(base / "manifest" / "dict.digit.txt", {"0": 1, "1": 1})
    write_dictionary(
        base / "manifest" / "dict.ltr.txt", dict.fromkeys(sorted(set("|".join(TEXTS)) - {" "}), 1)
    )
    return base


@pytest.fixture
def planted(healthy: Path, tmp_path: Path) -> Path:
    """A copy of the healthy folder to damage."""
    base = tmp_path / "copy"
    shutil.copytree(healthy, base)
    for split in SPLITS:
        edit(base, f"{split}.tsv", lambda text: text.replace(str(healthy), str(base)))
    return base


OPTIONS = preflight.Options(
    sample_rate_hz=RATE_HZ,
    ctc=("ltr",),
    ctc_limits=preflight.CtcLimits(stride_samples=160),
    min_duration_s=0.5,
    max_duration_s=3.0,
    num_decode=None,
    num_workers=2,
)


def edit(base: Path, name: str, change: Callable[[str], str]) -> None:
    """Rewrites a file of the manifest."""
    path = base / "manifest" / name
    path.write_bytes(change(path.read_bytes().decode()).encode())


def edit_line(name: str, number: int, change: Callable[[str], str]) -> Callable[[Path], None]:
    """A defect in one line, counted from 1."""

    def plant(base: Path) -> None:
        lines = (base / "manifest" / name).read_text(encoding="utf-8").split("\n")
        lines[number - 1] = change(lines[number - 1])
        edit(base, name, lambda _: "\n".join(lines))

    return plant


def drop_line(name: str, number: int) -> Callable[[Path], None]:
    """A defect: a line is lost."""

    def plant(base: Path) -> None:
        lines = (base / "manifest" / name).read_text(encoding="utf-8").split("\n")
        edit(base, name, lambda _: "\n".join(lines[: number - 1] + lines[number:]))

    return plant


def remove(name: str) -> Callable[[Path], None]:
    """A defect: a file is lost."""
    return lambda base: (base / name).unlink()


def cut(name: str, num_bytes: int) -> Callable[[Path], None]:
    """A defect: a recording is cut off by so many bytes."""
    return lambda base: (base / "audio" / name).write_bytes((base / "audio" / name).read_bytes()[:-num_bytes])


def overwrite(name: str, data: bytes) -> Callable[[Path], None]:
    """A defect: a recording is something else."""
    return lambda base: (base / "audio" / name).write_bytes(data) and None


def rewrite_wav(
    name: str, num_samples: int, rate_hz: int = RATE_HZ, silent: bool = False
) -> Callable[[Path], None]:
    """A defect: a recording is another one."""
    return lambda base: write_wav(base / "audio" / name, num_samples, rate_hz, silent=silent)


def cell(name: str, number: int, column: int, value: str) -> Callable[[Path], None]:
    """A defect: a cell holds another value; lines count from 1, columns from 0."""

    def change(line: str) -> str:
        cells = line.split("\t")
        cells[column] = value
        return "\t".join(cells)

    return edit_line(name, number, change)


def cut_header_only(base: Path) -> None:
    """A wav whose header was rewritten after it was cut: only its length tells."""
    write_wav(base / "audio" / "0_anna_0.wav", 5000)


def broken_flac(base: Path) -> None:
    """A flac whose header is whole and whose frames are not."""
    import soundfile

    path = base / "audio" / "noise.flac"
    soundfile.write(path, np.random.default_rng(1).uniform(-0.5, 0.5, 8000), RATE_HZ)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    path.write_bytes(bytes(data))
    edit_line("train.tsv", 2, lambda line: "noise.flac\t8000")(base)


SPEAKER = 1 + 3  # column in the sidecar: id num_frames transcript speaker
# name: (defect, words of the problem, where it is found, how often)
ERRORS: dict[str, tuple[Callable[[Path], None], str, str, int]] = {
    "third column": (edit_line("train.tsv", 3, lambda s: s + "\tx"), "wrong columns", "train.tsv:3", 1),
    "no number": (
        cell("train.tsv", 4, 1, "12a"),
        "wrong columns",
        "train.tsv:4",
        1,
    ),
    "blank last row": (lambda b: edit(b, "test.tsv", lambda s: s + "\n"), "wrong columns", "test.tsv:8", 1),
    "absolute path": (edit_line("valid.tsv", 2, lambda s: "/" + s), "wrong columns", "valid.tsv:2", 1),
    "root gone": (edit_line("test.tsv", 1, lambda s: s + "/gone"), "line 1 is not", "test.tsv:1", 1),
    "empty split": (
        lambda b: edit(b, "valid.tsv", lambda s: s.split("\n")[0]),
        "split without rows",
        "valid.tsv",
        1,
    ),
    "label row lost": (drop_line("train.digit", 5), "differ in their number of rows", "train.digit", 1),
    "sidecar row lost": (drop_line("test.meta.tsv", 4), "differ in their number of rows", "test.meta.tsv", 1),
    "tsv row lost": (drop_line("test.tsv", 4), "differ in their number of rows", "test.digit", 4),
    "label file lost": (remove("manifest/valid.digit"), "label file missing", "valid.digit", 1),
    "sidecar header": (edit_line("train.meta.tsv", 1, str.upper), "wrong columns", "train.meta.tsv:1", 13),
    "sidecar columns": (
        edit_line("train.meta.tsv", 6, lambda s: s + "\t"),
        "wrong columns",
        "train.meta.tsv:6",
        1,
    ),
    "no id": (
        cell("train.meta.tsv", 7, 0, ""),
        "wrong columns",
        "train.meta.tsv:7",
        1,
    ),
    "latin-1": (
        lambda b: (b / "manifest/train.wrd").write_bytes(
            "\n".join(TEXTS * 4).encode("latin-1", "replace") + b"\n"
        ),
        "not UTF-8",
        "train.wrd:1",
        12,
    ),
    "windows line ends": (
        edit_line("test.wrd", 2, lambda s: s + "\r"),
        "not UTF-8 with \\n",
        "test.wrd:2",
        1,
    ),
    "zero samples": (
        cell("train.tsv", 2, 1, "0"),
        "zero-length",
        "train.tsv:2",
        1,
    ),
    "too short": (
        cell("train.tsv", 2, 1, "3999"),
        "shorter than al",
        "train.tsv:2",
        1,
    ),
    "too long": (
        cell("train.tsv", 2, 1, "24001"),
        "longer than al",
        "train.tsv:2",
        1,
    ),
    "empty label": (edit_line("train.ltr", 3, lambda _: ""), "empty label", "train.ltr:3", 1),
    "oov in training": (edit_line("train.ltr", 3, lambda _: "ñ a"), "in training", "train.ltr:3", 1),
    "unknown class": (edit_line("test.digit", 3, lambda _: "7"), "class missing", "test.digit:3", 1),
    "two classes": (edit_line("test.digit", 3, lambda _: "0 1"), "not exactly one class", "test.digit:3", 1),
    "class untrained": (
        lambda b: edit(b, "dict.digit.txt", lambda s: s + "2 1\n"),
        "class without examples in training",
        "train.digit",
        1,
    ),
    "bad dictionary": (edit_line("dict.ltr.txt", 2, lambda _: "a"), "bad dictionary", "dict.ltr.txt:2", 1),
    "empty dictionary": (
        lambda b: edit(b, "dict.ltr.txt", lambda _: ""),
        "bad dictionary",
        "dict.ltr.txt",
        1,
    ),
    "repeated symbol": (
        lambda b: edit(b, "dict.digit.txt", lambda s: s + "0 1\n"),
        "bad dictionary",
        "dict.digit",
        1,
    ),
    "no ctc dictionary": (remove("manifest/dict.ltr.txt"), "dictionary missing", "dict.ltr.txt", 1),
    "ctc too long": (edit_line("train.ltr", 2, lambda _: "a " * 51), "CTC-infeasible", "train.ltr:2", 1),
    "id twice": (
        cell("train.meta.tsv", 9, 0, "0_anna_0"),
        "id occurs",
        "tsv:9",
        1,
    ),
    "id in two splits": (
        cell("test.meta.tsv", 3, 0, "0_anna_0"),
        "id occurs",
        "test",
        1,
    ),
    "recording twice": (
        edit_line("train.tsv", 3, lambda _: "0_anna_0.wav\t8000"),
        "recording occurs",
        "tsv:3",
        1,
    ),
    "recording in two splits": (
        edit_line("test.tsv", 2, lambda _: "0_anna_0.wav\t8000"),
        "recording occurs",
        "test.tsv:2",
        1,
    ),
    "speaker in two splits": (
        cell("test.meta.tsv", 2, 3, "anna"),
        "speaker in training and",
        "train and test",
        1,
    ),
    "file lost": (remove("audio/0_anna_0.wav"), "recording missing", "train.tsv:2", 1),
    "file cut off": (cut("0_anna_0.wav", 2000), "unreadable", "train.tsv:2", 1),
    "file of other length": (cut_header_only, "shorter than its row", "train.tsv:2", 1),
    "file grown": (rewrite_wav("0_anna_0.wav", 8001), "longer than its row", "train.tsv:2", 1),
    "empty file": (overwrite("0_anna_0.wav", b""), "unreadable", "train.tsv:2", 1),
    "header only": (cut("0_anna_0.wav", 16000), "unreadable", "train.tsv:2", 1),
    "no samples": (rewrite_wav("0_anna_0.wav", 0), "unreadable", "train.tsv:2", 1),
    "web page": (overwrite("0_anna_0.wav", b"<html>404</html>" * 99), "unreadable", "train.tsv:2", 1),
    "damaged inside": (broken_flac, "cannot be decoded", "train.tsv:2", 1),
    "other rate": (rewrite_wav("0_anna_0.wav", 16000, 16000), "sample rate other", "train.tsv:2", 1),
}
WARNINGS: dict[str, tuple[Callable[[Path], None], str, str, int]] = {
    "no sidecar": (remove("manifest/valid.meta.tsv"), "no sidecar", "valid.meta.tsv", 1),
    "no speaker": (
        cell("test.meta.tsv", 2, 3, ""),
        "speaker unknown",
        "tsv:2",
        1,
    ),
    "oov in a test": (edit_line("test.ltr", 3, lambda _: "ñ a"), "become <unk>", "test.ltr:3", 1),
    "unk": (edit_line("train.ltr", 3, lambda _: "a <unk> l"), "<unk> written out", "train.ltr:3", 1),
    "class untested": (
        lambda b: edit(b, "test.digit", lambda s: s.replace("1", "0")),
        "class without examples in a held-out",
        "test.digit",
        1,
    ),
    "speaker in valid and test": (
        cell("test.meta.tsv", 2, 3, "carla"),
        "speaker in two held-out",
        "valid and test",
        1,
    ),
    "silence": (rewrite_wav("0_anna_0.wav", 8000, silent=True), "nothing but zeros", "train.tsv:2", 1),
}


def find(report: preflight.Report, words: str) -> preflight.Finding:
    """The finding whose problem holds the words."""
    found = [finding for finding in report.findings if words in finding.kind.problem]
    assert len(found) == 1, report.text()
    return found[0]


def test_a_healthy_folder_passes_without_a_word(healthy: Path) -> None:
    report = preflight.check(healthy / "manifest", OPTIONS)
    assert report.ok
    assert not list(report.findings), report.text()
    assert [scan.num_rows for scan in report.scans] == [12, 6, 6]
    assert report.rates == {RATE_HZ: 24}
    assert "OK: 0 errors, 0 warnings" in report.text()


def test_word_times_beside_a_split_are_no_split(planted: Path) -> None:
    (planted / "manifest" / "train.times.tsv").write_text("id\tword_number\tword\tstart_s\tend_s\n")
    report = preflight.check(planted / "manifest", OPTIONS)
    assert report.ok
    assert [scan.name for scan in report.scans] == ["train", "valid", "test"]


@pytest.mark.parametrize("name", ERRORS)
def test_a_planted_error_is_found_named_counted_and_fails(name: str, planted: Path) -> None:
    defect, words, where, count = ERRORS[name]
    defect(planted)
    report = preflight.check(planted / "manifest", OPTIONS)
    finding = find(report, words)
    assert not report.ok
    assert finding.count == count, report.text()
    assert where in finding.examples[0].split(": ")[0] + ": " + finding.examples[0].split(": ")[1], (
        report.text()
    )
    assert finding.kind.severity is preflight.Severity.ERROR
    assert finding.kind.next_step in report.text()
    assert "FAILED" in report.text()


@pytest.mark.parametrize("name", WARNINGS)
def test_a_planted_oddity_is_a_warning(name: str, planted: Path) -> None:
    defect, words, where, count = WARNINGS[name]
    defect(planted)
    report = preflight.check(planted / "manifest", OPTIONS)
    finding = find(report, words)
    assert report.ok, report.text()
    assert (finding.count, finding.kind.severity) == (count, preflight.Severity.WARNING)
    assert where in finding.examples[0]


def test_a_declared_leak_is_a_warning_that_says_so(planted: Path) -> None:
    ERRORS["speaker in two splits"][0](planted)
    report = preflight.check(planted / "manifest", replace(OPTIONS, allow_shared_speakers=True))
    assert report.ok
    assert "leaky" in find(report, "declared a leaky control").kind.next_step


def test_other_rates_can_be_allowed_and_mixed_ones_are_seen(planted: Path) -> None:
    ERRORS["other rate"][0](planted)
    report = preflight.check(planted / "manifest", replace(OPTIONS, any_rate=True))
    assert report.ok
    assert find(report, "resampled on every reading").count == 1
    unknown = replace(OPTIONS, sample_rate_hz=None, min_duration_s=0, max_duration_s=0)
    assert (
        "8000 Hz (23), 16000 Hz (1)"
        in find(preflight.check(planted / "manifest", unknown), "different sample rates").examples[0]
    )


def test_missing_splits_labels_and_folders_are_errors(healthy: Path, tmp_path: Path) -> None:
    asked = replace(OPTIONS, splits=("train", "dev"), labels=("digit", "km"), ctc=(), classes=("km",))
    report = preflight.check(healthy / "manifest", asked)
    assert "dev.tsv" in find(report, "split missing").examples[0]
    assert "train.km" in find(report, "label file missing").examples[0]
    assert "dict.km.txt" in find(report, "dictionary missing").examples[0]
    assert [scan.name for scan in report.scans] == ["train"]
    assert not preflight.check(tmp_path, OPTIONS).ok
    assert not preflight.check(tmp_path / "none", OPTIONS).ok


def test_segments_are_checked_against_their_file(tmp_path: Path) -> None:
    write_wav(tmp_path / "long.wav", 20_000)
    segments = [
        Utterance(f"s{i}", "long.wav", 5000, speaker="anna", start_s=i * 0.625, end_s=i * 0.625 + 0.625)
        for i in range(4)
    ]
    write_manifest(tmp_path / "m", "train", segments, root=tmp_path, sample_rate_hz=RATE_HZ)
    options = replace(OPTIONS, ctc=())
    report = preflight.check(tmp_path / "m", options)
    assert not list(report.findings), report.text()
    write_wav(tmp_path / "long.wav", 19_999)
    report = preflight.check(tmp_path / "m", options)
    assert "train.tsv:5" in find(report, "shorter than its row").examples[0]
    assert find(report, "shorter than its row").count == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["train.tsv", "train.meta.tsv", "test.digit", "train.ltr", "dict.ltr.txt"]),
    data=st.binary(max_size=300),
    at=st.integers(0, 400),
)
def test_no_content_stops_the_check(healthy: Path, name: str, data: bytes, at: int) -> None:
    path = healthy / "manifest" / name
    original = path.read_bytes()
    try:
        path.write_bytes(original[:at] + data + original[at + len(data) // 2 :])
        preflight.check(healthy / "manifest", OPTIONS).text()
    finally:
        path.write_bytes(original)


def run_command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command line."""
    command = [sys.executable, "tools/check_data.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)


def test_the_command_fails_when_any_folder_does(healthy: Path, planted: Path) -> None:
    good = run_command(
        healthy / "manifest", "--sample-rate-hz", "8000", "--ctc", "ltr", "--ctc-stride-samples", "160"
    )
    assert (good.returncode, good.stderr.count("Traceback")) == (0, 0)
    ERRORS["label row lost"][0](planted)
    bad = run_command(healthy / "manifest", planted / "manifest", "--quiet", "--decode", "all")
    assert bad.returncode == 1
    assert "OK: 0 errors" in bad.stdout
    assert "FAILED: 1 errors" in bad.stdout
    assert bad.stderr == ""


def test_the_command_refuses_limits_it_cannot_apply(healthy: Path) -> None:
    done = run_command(healthy / "manifest", "--max-duration-s", "3")
    assert done.returncode == 1
    assert "sample_rate_hz" in done.stderr
    assert "Traceback" not in done.stderr
