"""Synthetic GRID: names that spell sentences, word times in the published units, the reader's view of it."""

from pathlib import Path

import pytest

from fairseq_ext.corpora import grid as reader
from fairseq_ext.synthetic import grid
from fairseq_ext.synthetic.grid import Sizes, plan

pytest.importorskip("av")
pytest.importorskip("cv2", reason="needs pip install -e .[video]")
pytest.importorskip("espeakng_loader", reason="needs pip install -e .[synthetic]")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "grid"
    assert grid.write(folder, sizes=Sizes(2, 1), progress=False) == {"speakers": 2, "clips": 2}
    return folder


def test_names_spell_what_is_said() -> None:
    for film in plan(Sizes(3, 20), seed=1):
        assert reader.sentence(Path(film.name).stem) == film.sentences[0]


def test_speakers_have_the_published_numbers_and_genders() -> None:
    films = plan(Sizes(33, 1), seed=1)
    found = {Path(film.name).parts[0]: film.speaker.voice.gender for film in films}
    assert list(found) == [f"s{n}" for n in range(1, 35) if n != 21]
    assert {name for name, gender in found.items() if gender == "female"} == reader.FEMALE - {"s21"}
    assert len({film.speaker.name for film in films}) == 33


def test_the_reader_finds_videos_and_word_times(root: Path) -> None:
    problems: list[str] = []
    utterances = {u.id: u for u in reader.read(root, on_problem=problems.append)}
    times = reader.word_times(root, on_problem=problems.append)
    assert problems == []
    assert utterances.keys() == times.keys()
    for name, words in times.items():
        assert " ".join(w.text for w in words if w.text not in reader.SILENCE) == utterances[name].transcript
        assert words[0].text == words[-1].text == "sil"
        assert all(0.02 < w.end_s - w.start_s < 1.5 for w in words)


def test_sizes_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 33 speakers"):
        Sizes(34, 1)
