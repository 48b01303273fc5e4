"""A real Whisper base on real speech, where both are there: ../shared/tools/real_whisper.py fetches the model."""

from pathlib import Path

import pytest

from fairseq_ext.corpora import grid
from fairseq_ext.labelling.faster_whisper import FasterWhisper
from fairseq_ext.labelling.filters import FilterSettings, judge
from fairseq_ext.labelling.label import Labeller, Recording
from fairseq_ext.labelling.load import load_engine
from fairseq_ext.labelling.word_times import align_words
from fairseq_ext.media import audio
from fairseq_ext.text.normalize import normalize

MODEL = Path.home() / ".cache" / "fairseq_ext" / "whisper-base"
CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "labels"


@pytest.fixture(scope="module")
def labeller() -> Labeller:
    if not MODEL.is_dir():
        pytest.skip(f"no {MODEL}; run ../shared/tools/real_whisper.py")
    if not CASES.is_dir():
        pytest.skip(f"no {CASES}")
    pytest.importorskip("faster_whisper", reason="needs pip install -e .[whisper]")
    engine = load_engine(str(MODEL), device="cpu")
    return Labeller(engine, engine.languages)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("lucas3_4718", "four seven one eight", None),
        ("yweweler3_7823", "seven eight two three", None),
        ("fr_then_es", None, "languages_differ"),
    ],
)
def test_digits_are_kept_and_a_change_of_language_is_not(
    labeller: Labeller, name: str, text: str | None, reason: str | None
) -> None:
    waveform = audio.load(CASES / f"{name}.wav", sample_rate_hz=16_000)
    (label,) = labeller([Recording(name, name, waveform)])
    assert judge(label, None, FilterSettings()) == reason
    assert text is None or normalize(label.text, "en") == text


def test_words_of_a_known_text_are_found_in_the_sound(labeller: Labeller) -> None:
    clip = CASES.parents[1] / "data" / "grid_s1" / "video" / "bbaf3s.mp4"
    if not clip.is_file():
        pytest.skip(f"no {clip}")
    engine = labeller.engine
    assert isinstance(engine, FasterWhisper)
    words = grid.read_alignment(clip.parents[1] / "align" / "bbaf3s.align", pytest.fail)
    said = [word for word in words if word.text not in grid.SILENCE]
    waveform = audio.load(clip, sample_rate_hz=16_000)
    found = align_words(engine, waveform, [word.text for word in said], "en")
    assert len(found) == 6
    assert found == sorted(found)
    for word, (start_s, end_s) in zip(said, found, strict=True):
        assert start_s == pytest.approx(word.start_s, abs=0.3)
        assert end_s == pytest.approx(word.end_s, abs=0.2)
