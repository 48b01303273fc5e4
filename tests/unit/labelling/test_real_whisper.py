"""A real Whisper base on real speech, where both are there: ../shared/tools/real_whisper.py fetches the model."""

from pathlib import Path

import pytest

from fairseq_ext.labelling.filters import FilterSettings, judge
from fairseq_ext.labelling.label import Labeller, Recording
from fairseq_ext.labelling.load import load_engine
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
