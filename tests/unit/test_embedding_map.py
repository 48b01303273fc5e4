"""Maps of embeddings: which vectors they show, and what the page holds of them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairseq_ext.report import html, results
from fairseq_ext.report.embedding_map import points, sections
from fairseq_ext.report.pieces import Block
from fairseq_ext.report.run import Run
from fairseq_ext.scoring.scored_system import write_json


@pytest.fixture
def run(digits_run: Path, about: dict[str, object]) -> Run:
    return Run(digits_run, results.collect(digits_run, about), ("t-SNE",))


def test_points_are_those_of_the_detailed_system(run: Run) -> None:
    found = points.points_of(run, "published")
    assert found is not None
    assert found.source == "the network's embedding"
    assert len(found.vectors) == len(found.ids) == len(found.predicted) == len(found.groups["class"])
    assert list(found.groups)[:2] == ["class", "speaker"]
    few = found.subset([2, 0])
    assert few.ids == (found.ids[2], found.ids[0])
    np.testing.assert_array_equal(few.vectors, found.vectors[[2, 0]])


def test_the_page_holds_every_projection_and_the_clips(run: Run) -> None:
    (block, *_) = sections.maps(run)
    assert isinstance(block, Block)
    text = str(html.show(block))
    data = json.loads(re.search(r"data-points>(.*?)</script>", text, re.DOTALL)[1])  # type: ignore[index]
    assert list(data["projections"]) == ["t-SNE, 2-D", "t-SNE, 3-D"]
    for name, dimensions in (("t-SNE, 2-D", 2), ("t-SNE, 3-D", 3)):
        assert np.shape(data["projections"][name]) == (dimensions, len(data["ids"]))
        assert np.abs(data["projections"][name]).max() <= 1
    assert set(data["clips"]) <= set(data["ids"])
    assert all(uri.startswith("data:audio/") for uri in data["clips"].values())


def test_names_from_data_cannot_end_the_data(run: Run) -> None:
    values: dict[str, Any] = {"ids": ["</script><script>alert(1)"], "groups": {}, "projections": {}}
    block = Block(
        "map", {"points": values, "projections": [], "groups": [], "caption": "", "description": ""}
    )
    assert "<script>alert" not in str(html.show(block))


def test_recordings_are_bounded_in_bytes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "MAX_AUDIO_BYTES", 20_000)
    (block, *_) = sections.maps(run)
    assert isinstance(block, Block)
    assert sum(map(len, block.values["points"]["clips"].values())) <= 20_000


def test_embeddings_of_a_run_are_found_by_what_made_them(tmp_path: Path) -> None:
    for name, digest in (("a", "12"), ("b", "34")):
        (tmp_path / "embeddings" / name).mkdir(parents=True)
        write_json(tmp_path / "embeddings" / name / "about.json", {"encoder": "E", "sha256": digest})
    config = {"model": {"encoder": "E", "encoder_sha256": "34"}}
    assert points.embeddings_of(tmp_path, [config, config]) == tmp_path / "embeddings" / "b"
    assert points.embeddings_of(tmp_path, [config, {"model": {}}]) is None


@pytest.mark.parametrize(
    ("layers", "expected"), [((0,), [0]), ((2, 5), [2, 5]), (range(13), [0, 3, 6, 9, 12])]
)
def test_layers_of_the_grid_are_spread(layers: Any, expected: list[int]) -> None:
    assert sections._spread(tuple(layers)) == expected
