"""Folders as transformers saves model and processor together, in its present layout; folders of known faults."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fairseq_ext.checkpoints.convert import convert
from fairseq_ext.inference.recognizer import load_recognizer

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"


def check_equal(folder: Path, out: Path, num_rows: int | None = None) -> Any:
    """Check that log-probabilities are those of transformers, over the first rows, on a loud waveform."""
    import transformers

    convert(folder, out)
    recognizer = load_recognizer(out)
    processor = transformers.Wav2Vec2Processor.from_pretrained(folder)
    network = transformers.AutoModelForCTC.from_pretrained(folder).eval()
    rate_hz = processor.feature_extractor.sampling_rate
    waveform = (0.2 + 0.5 * np.random.default_rng(1).normal(size=8000)).astype(np.float32)
    inputs = processor(waveform, sampling_rate=rate_hz, return_tensors="pt").input_values
    with torch.no_grad():
        expected = network(inputs).logits[..., :num_rows].log_softmax(2)
    found, _ = recognizer.log_probs([waveform])
    assert (found[..., :num_rows] - expected).abs().max() <= 1e-5
    assert recognizer.sample_rate_hz == rate_hz
    return recognizer


@pytest.mark.parametrize("normalize", [True, False])
def test_processor_and_model_saved_together(
    normalize: bool, export: Callable[..., Any], tmp_path: Path
) -> None:
    import transformers

    folder = export(tmp_path / "theirs", "wav2vec2").folder
    (folder / "preprocessor_config.json").unlink(missing_ok=True)
    tokenizer = transformers.Wav2Vec2CTCTokenizer.from_pretrained(folder)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=normalize, sampling_rate=8000)
    transformers.Wav2Vec2Processor(feature_extractor=extractor, tokenizer=tokenizer).save_pretrained(folder)
    assert check_equal(folder, tmp_path / "a.pt").model.config.normalize == normalize
    # the layout of earlier versions: the same values in a file of their own
    nested = json.loads((folder / "processor_config.json").read_text()).get("feature_extractor")
    if nested is not None:
        (folder / "processor_config.json").unlink()
        (folder / "preprocessor_config.json").write_text(json.dumps(nested))
        check_equal(folder, tmp_path / "b.pt")


@pytest.mark.parametrize(
    ("case", "num_rows", "num_spare"), [("processor_config", None, 0), ("head_larger", 31, 4)]
)
def test_folders_of_known_faults(case: str, num_rows: int | None, num_spare: int, tmp_path: Path) -> None:
    folder = CASES / case / "model"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    recognizer = check_equal(folder, tmp_path / "ours.pt", num_rows)
    assert sum(symbol.startswith("<spare") for symbol in recognizer.symbols) == num_spare
    stated = json.loads((folder / "processor_config.json").read_text())["feature_extractor"]
    assert recognizer.model.config.normalize == stated["do_normalize"]
