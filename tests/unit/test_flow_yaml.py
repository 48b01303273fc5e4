"""Lists of flow mappings: what a YAML library reads and writes, read alike; what is none, named."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from fairseq_ext.corpora.flow_yaml import flow_mappings

ROWS = [
    {"duration": "3.500000", "offset": "16.080000", "rW": "9", "uW": "0", "speaker_id": "spk.767", "wav": "ted.wav"},
    {"duration": "2.35", "offset": "42.91", "speaker_id": "-_x: 'y', \"z\" \\ {w}", "wav": "0u7tTptBo9I.wav"},
    {"duration": "1e3", "offset": "0", "speaker_id": "123", "wav": "ça, là.wav"},
]  # fmt: skip


def read(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    problems: list[str] = []
    return list(flow_mappings(path, problems.append)), problems


@pytest.mark.parametrize("width", [40, 80, 10_000])
def test_as_a_library_writes_them(tmp_path: Path, width: int) -> None:
    path = tmp_path / "train.yaml"
    rows = [dict(row) for row in ROWS * 3]
    text = yaml.safe_dump(rows, default_flow_style=None, width=width, allow_unicode=True, sort_keys=False)
    path.write_text(text)
    assert read(path) == (rows, [])


def test_as_a_library_reads_them(tmp_path: Path) -> None:
    """Rows of one line with values of every kind that needs no quotes."""
    generator = np.random.default_rng(1)
    letters = list("aZ09-_./é")
    names = ["x" + "".join(generator.choice(letters, 6)) for _ in range(200)]
    rows = [
        f"-   {{duration: {i / 7:.6f},offset:   {i}.5 , wav: {name}.wav }}" for i, name in enumerate(names)
    ]
    rows = [row.replace(",offset:", ", offset:") for row in rows]
    path = tmp_path / "train.yaml"
    path.write_text("---\n# talks\n" + "\n".join(rows) + "\n")
    assert read(path) == (yaml.load(path.read_text(), Loader=yaml.BaseLoader), [])


@pytest.mark.parametrize(
    "row",
    ["- {a: 1, b 2}", "- {a: 1, b: {c: 2}}", "- {a: 1", "- a: 1", "- {a: 1} x", "a: 1", "- {a: 'b}", "- []"],
)
def test_a_row_that_is_none_keeps_its_place(tmp_path: Path, row: str) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(f"- {{a: 1}}\n{row}\n- {{a: 3}}\n")
    found, problems = read(path)
    assert found == [{"a": "1"}, {}, {"a": "3"}]
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}:2: ")


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_none_at_all(tmp_path: Path, text: str) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(text)
    assert read(path) == ([], [])
