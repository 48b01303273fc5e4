"""report.json is read strictly: a key that nothing reads would be a title that never shows."""

import json
from pathlib import Path

import pytest

from fairseq_ext.report.about import KEYS, read_about

REPOSITORY = Path(__file__).parents[2]


def test_every_recipe_is_understood() -> None:
    paths = sorted((REPOSITORY / "recipes").glob("*/report.json"))
    assert paths
    for path in paths:
        assert read_about(path)["title"]


def test_every_key_may_be_given(tmp_path: Path) -> None:
    values = {str: "ŀl", dict: {"a": "ç"}, list: [], int: 3}
    about = {key: values[kind if isinstance(kind, type) else kind[0]] for key, (kind, _) in KEYS.items()}
    path = tmp_path / "report.json"
    path.write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
    assert read_about(path) == about


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"headlines": []}', "found 'headlines'; did you mean headline?"),
        ('{"xyz": 1}', "found 'xyz'; delete it"),
        ('{"systems": ["a"]}', "systems: expected system -> title"),
        ("[]", "not a JSON object .found list."),
        ("{", "not a JSON object"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ValueError, match=rf"report.json: .*{message.replace('?', '[?]')}"):
        read_about(tmp_path / "report.json")
