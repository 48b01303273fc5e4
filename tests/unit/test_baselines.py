"""The majority baseline: the most frequent class of the training, scored; missing labels; the command."""

import json
from pathlib import Path

import pytest
from preloaded import Preloaded
from sklearn.metrics import f1_score

from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.scoring.majority import majority
from fairseq_ext.scoring.predictions import read_predictions
from fairseq_ext.scoring.scored_system import ScoredSystem

ROW = ScoredSystem("majority", "accent", 1, "synthetic", "tools/majority.py")
TRAIN = ["valencià"] * 4 + ["balear"] * 2 + [""] * 9 + ["central"]
TEST = ["balear"] * 5 + ["valencià"] * 3 + ["", "central"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Manifests of recordings that are never read."""
    for split, names in (("train", TRAIN), ("test", TEST)):
        rows = [
            Utterance(f"{split}{i}", f"{split}{i}.wav", 800, speaker=f"{split}{i % 3}", accent=name)
            for i, name in enumerate(names)
        ]
        write_manifest(tmp_path, split, rows, root=tmp_path, labels={"accent": lambda u: u.accent or ""})
    write_dictionary(tmp_path / "dict.accent.txt", {"balear": 2, "central": 1, "valencià": 4})
    return tmp_path


def test_answers_with_the_training_sets_class(data: Path, tmp_path: Path) -> None:
    result = majority(ROW, tmp_path / "out", data=data, label="accent", over="speakers")
    known = [name for name in TEST if name]
    assert result["majority"] == {"answer": "valencià", "n_train": 7}
    assert (result["n"], result["num_unlabelled"], result["num_shared_speakers"]) == (9, 1, 0)
    expected = f1_score(known, ["valencià"] * 9, average="macro", zero_division=0)
    assert result["metrics"]["macro_f1"]["value"] == pytest.approx(expected)
    assert result["metrics"]["accuracy"]["value"] == pytest.approx(3 / 9)
    assert result["intervals_over"] == "speakers"
    answers = read_predictions(tmp_path / "out" / "predictions.tsv")
    assert {answers.labels[i] for i in answers.predicted} == {"valencià"}
    assert [answers.labels[i] for i in answers.targets] == known
    stored = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert stored == result


def test_shared_speakers_are_counted(data: Path, tmp_path: Path) -> None:
    result = majority(ROW, tmp_path / "out", data=data, label="accent", split="train")
    assert result["num_shared_speakers"] == 3


def test_label_outside_the_dictionary_is_named(data: Path, tmp_path: Path) -> None:
    write_dictionary(data / "dict.accent.txt", {"balear": 2, "valencià": 4})
    with pytest.raises(ValueError, match=r"train\.accent: .* found \['central'\]"):
        majority(ROW, tmp_path / "out", data=data, label="accent")
    (data / "train.accent").write_text("\n" * len(TRAIN), encoding="utf-8")
    with pytest.raises(ValueError, match=r"train\.accent: no utterance has a label of the dictionary"):
        majority(ROW, tmp_path / "out", data=data, label="accent")
    assert not (tmp_path / "out").exists()


def test_command_writes_the_scores(
    data: Path, tmp_path: Path, repository: Path, preloaded: Preloaded
) -> None:
    command = [repository / "tools" / "majority.py", "--data", f"accent={data}"]
    options = ["--label", "accent", "--scores", str(tmp_path / "scores"), "--origin", "synthetic"]
    result = preloaded.run([*command, *options], check=True)
    assert result.stdout == "accent/majority: accuracy 33.3 %, macro-F1 16.7 % of 9 recordings\n"
    row = json.loads((tmp_path / "scores/accent/majority/seed1/metrics.json").read_text(encoding="utf-8"))
    assert (row["kind"], row["intervals_over"]) == ("classification", "recordings")
