"""Defects to plant in the healthy folder, and the finding that preflight reports for each."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from unit.preflight.folder import RATE_HZ, TEXTS, edit, write_wav


def edit_line(name: str, number: int, change: Callable[[str], str]) -> Callable[[Path], None]:
    """Return a defect in one line, counted from 1."""

    def plant(base: Path) -> None:
        lines = (base / "manifest" / name).read_text(encoding="utf-8").split("\n")
        lines[number - 1] = change(lines[number - 1])
        edit(base, name, lambda _: "\n".join(lines))

    return plant


def drop_line(name: str, number: int) -> Callable[[Path], None]:
    """Return a defect: a line is lost."""

    def plant(base: Path) -> None:
        lines = (base / "manifest" / name).read_text(encoding="utf-8").split("\n")
        edit(base, name, lambda _: "\n".join(lines[: number - 1] + lines[number:]))

    return plant


def remove(name: str) -> Callable[[Path], None]:
    """Return a defect: a file is lost."""
    return lambda base: (base / name).unlink()


def cut(name: str, num_bytes: int) -> Callable[[Path], None]:
    """Return a defect: a recording is cut off by so many bytes."""
    return lambda base: (base / "audio" / name).write_bytes((base / "audio" / name).read_bytes()[:-num_bytes])


def overwrite(name: str, data: bytes) -> Callable[[Path], None]:
    """Return a defect: a recording is something else."""
    return lambda base: (base / "audio" / name).write_bytes(data) and None


def rewrite_wav(
    name: str, num_samples: int, rate_hz: int = RATE_HZ, silent: bool = False
) -> Callable[[Path], None]:
    """Return a defect: a recording is another one."""
    return lambda base: write_wav(base / "audio" / name, num_samples, rate_hz, silent=silent)


def cell(name: str, number: int, column: int, value: str) -> Callable[[Path], None]:
    """Return a defect: a cell holds another value; lines count from 1, columns from 0."""

    def change(line: str) -> str:
        cells = line.split("\t")
        cells[column] = value
        return "\t".join(cells)

    return edit_line(name, number, change)


def cut_header_only(base: Path) -> None:
    """Cut a wav off and rewrite its header, so that only its length shows the damage."""
    write_wav(base / "audio" / "0_anna_0.wav", 5000)


def broken_flac(base: Path) -> None:
    """Damage the frames of a flac and keep its header whole."""
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
