"""A recogniser of tones from audio to a scored system: correct texts, and one forward pass for all decoders."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from fairseq_ext.decoding import kneser_ney
from fairseq_ext.decoding.joint import JointConfig
from fairseq_ext.decoding.lm_weights import LmWeights, read_lm_weights
from fairseq_ext.decoding.tuning import Grid
from fairseq_ext.line_index import AudioEntry
from fairseq_ext.manifest import Utterance, read_manifest, write_manifest
from fairseq_ext.report import results
from fairseq_ext.scoring import provenance, trainings
from fairseq_ext.scoring.recognition import acoustics, evaluation, scores
from fairseq_ext.scoring.recognition.decoders import LanguageModel
from fairseq_ext.scoring.recognition.evaluation import Options
from fairseq_ext.scoring.recognition.transcripts import read_transcripts
from fairseq_ext.scoring.scored_system import ScoredSystem
from fairseq_ext.text.spelling import Spelling, write_spelling

RATE, HOP = 8000, 160
TONES_HZ = {"a": 500, "ç": 1000, "à": 1500, "l": 2000, "·": 2500, "i": 3000}
SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>", "|", *TONES_HZ]
WORDS = ("ça", "al·là", "lila", "àl")
ROW = ScoredSystem("tones", "labels/1", 1, "synthetic", "recognise")


class Tones:
    """A recogniser of tones: a letter where the spectrum is loudest at its tone, a space at 3.5 kHz, blank in silence.

    `doubt` makes `ç` slightly likelier than `à`, by less than a word's score of the language model.
    """

    def __init__(self, doubt: bool = False) -> None:
        self.model = torch.nn.Linear(1, 1)
        self.cfg = SimpleNamespace(
            task=SimpleNamespace(sample_rate_hz=RATE), dataset=SimpleNamespace(train_subset="train")
        )
        self.symbols, self.sample_rate_hz, self.num_updates = SYMBOLS, RATE, 12
        self.doubt, self.calls = doubt, 0

    def log_probs(self, waveforms: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        self.calls += len(waveforms)
        lengths = torch.tensor([len(w) // HOP for w in waveforms])
        logits = torch.zeros(len(waveforms), int(lengths.max()), len(SYMBOLS))
        for row, waveform in zip(logits, waveforms, strict=True):
            frames = torch.from_numpy(waveform[: len(waveform) // HOP * HOP]).view(-1, HOP)
            power = torch.fft.rfft(frames).abs()  # bins of 50 Hz
            for t, loudness in enumerate(power):
                heard = int(loudness.argmax()) * RATE // HOP
                row[t, self.symbol(heard) if loudness.max() > 1 else 0] = 12.0
        if self.doubt:
            is_cedilla = logits.argmax(2) == SYMBOLS.index("ç")
            logits[..., SYMBOLS.index("à")] = torch.where(is_cedilla, 12.2, logits[..., SYMBOLS.index("à")])
        return logits.log_softmax(2), lengths

    def symbol(self, heard_hz: int) -> int:
        """Return the symbol of the nearest tone."""
        letters = {hz: letter for letter, hz in TONES_HZ.items()} | {3500: "|"}
        return SYMBOLS.index(letters[min(letters, key=lambda hz: abs(hz - heard_hz))])


def spoken(text: str) -> np.ndarray:
    """Make a text of tones of three frames with pauses of one."""
    time_s = np.arange(3 * HOP) / RATE
    parts = [np.zeros(HOP)]
    for letter in text:
        parts += [0.5 * np.sin(2 * np.pi * TONES_HZ.get(letter, 3500) * time_s), np.zeros(HOP)]
    return np.concatenate(parts).astype(np.float32)


def write_split(folder: Path, name: str, texts: Sequence[str], speakers: Sequence[str]) -> None:
    """Write recordings of texts with case and punctuation, and their manifest."""
    rows = []
    for i, text in enumerate(texts):
        waveform = spoken(text)
        soundfile.write(folder / f"{name}{i}.wav", waveform, RATE)
        written = f"{text[0].upper()}{text[1:]}."
        about = {"speaker": speakers[i % len(speakers)], "language": "ca", "gender": "female"}
        rows.append(Utterance(f"{name}{i}", f"{name}{i}.wav", len(waveform), transcript=written, **about))
    write_manifest(folder, name, rows, root=folder)


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """Write splits of sentences of two words: training of one speaker, the others of six others."""
    folder = tmp_path / "manifests" / "labels" / "1"
    folder.mkdir(parents=True)
    texts = [f"{a} {b}" for a in WORDS for b in WORDS if a != b]
    write_split(folder, "train", texts[:3], ["zoe"])
    write_split(folder, "valid", texts[3:6], ["x", "y"])
    write_split(folder, "test", [*texts[2:3], *texts[6:]], [f"s{i}" for i in range(6)])
    return folder


def language_model() -> LanguageModel:
    """Return a language model of the words."""
    model = kneser_ney.train([f"{a} {b}" for a in WORDS for b in WORDS], 2)
    return LanguageModel(model, "words.arpa", beam_size=8, grid=Grid((0.0, 0.5), (0.0,), (0.0,)))


def test_tones_are_recognised(manifests: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = evaluation.evaluate(Tones(), ROW, out, data=manifests, options=Options(batch_size=2))
    greedy = found["decoders"]["greedy"]
    assert greedy["metrics"]["wer"]["value"] == greedy["metrics"]["cer"]["value"] == 0.0
    assert greedy["metrics"]["wer_raw"]["value"] == 1.0  # every word begins with a capital or ends in a stop
    texts = read_transcripts(out / "predictions.greedy.tsv")
    assert texts.ids == tuple(sorted(texts.ids))
    assert texts.references[0] == "Ça àl."
    assert texts.hypotheses[0] == "ça àl"
    assert any("al·là" in text for text in texts.hypotheses)
    assert json.loads((out / "metrics.json").read_text()) == found


def test_metrics_describe_training_and_test_data(manifests: Path, tmp_path: Path) -> None:
    found = evaluation.evaluate(Tones(), ROW, tmp_path / "out", data=manifests, options=Options())
    sizes = [int(line.split("\t")[1]) for line in (manifests / "train.tsv").read_text().splitlines()[1:]]
    assert found["labelled_minutes"] == pytest.approx(sum(sizes) / RATE / 60)
    assert found["automatic_minutes"] == 0
    sources = manifests / "train.label_source"
    sources.write_text("human\nbase\nbase\n", encoding="utf-8")
    parts = provenance.labelled_minutes(Tones().cfg, manifests)
    assert parts["labelled_minutes"] == pytest.approx(sizes[0] / RATE / 60)
    assert parts["automatic_minutes"] == pytest.approx(sum(sizes[1:]) / RATE / 60)
    sources.write_text("human\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"label_source: 3 rows expected, as in train\.tsv, found 1"):
        provenance.labelled_minutes(Tones().cfg, manifests)
    assert (found["n"], found["num_speakers"], found["language"], found["num_updates"]) == (7, 6, "ca", 12)
    assert (found["num_shared_speakers"], found["num_known_sentences"]) == (0, 1)
    assert found["decoders"]["greedy"]["real_time_factor"] > 0


def test_language_model_corrects_words_with_weights_of_the_dev_set(manifests: Path, tmp_path: Path) -> None:
    recognizer = Tones(doubt=True)
    options = Options(lm=language_model(), batch_size=3)
    found = evaluation.evaluate(recognizer, ROW, tmp_path / "out", data=manifests, options=options)
    assert list(found["decoders"]) == ["greedy", "lm"]
    greedy, with_lm = (found["decoders"][name]["metrics"]["wer"]["value"] for name in ("greedy", "lm"))
    assert greedy > 0.2
    assert with_lm == 0.0
    settings = found["decoders"]["lm"]["settings"]
    assert (settings["alpha"], settings["tuned_on"], settings["lm"]) == (0.5, "valid", "words.arpa")
    assert recognizer.calls == 7 + 3  # each recording once, however many decoders and weights


class Seen(Tones):
    """A recogniser of what is no waveform: rows are read by itself, and one cannot be."""

    hears_sound = False

    def read_row(self, entry: AudioEntry, mix: object = None) -> np.ndarray:
        assert mix is None
        if entry.path.name == "test1.wav":
            raise ValueError(f"{entry.path}: no mouth")
        return soundfile.read(entry.path, dtype="float32")[0]

    def encode(self, clips: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        log_probs, lengths = self.log_probs(clips)
        return log_probs, lengths, log_probs[:, :, :3]

    def decode(
        self, search: Any, log_probs: torch.Tensor, lengths: torch.Tensor, memory: torch.Tensor
    ) -> Any:
        assert torch.equal(memory, log_probs[:, :, :3])
        return search(log_probs, lengths)

    def speaking(self, language: str) -> "Seen":
        assert language == "es"
        return self


def test_lip_readers_are_scored_in_visemes_and_by_joint_search(manifests: Path, tmp_path: Path) -> None:
    recognizer = Seen()
    options = Options(batch_size=2, joint=JointConfig(3), language="es", noise_snr_db=(0.0,))
    for path in manifests.glob("*.meta.tsv"):
        path.write_text(path.read_text(encoding="utf-8").replace("\tca\t", "\tes\t"), encoding="utf-8")
    found = evaluation.evaluate(recognizer, ROW, tmp_path / "out", data=manifests, options=options)
    assert list(found["decoders"]) == ["greedy", "joint"]
    assert found["num_unreadable"] == 1
    assert "no mouth" in (tmp_path / "out" / "unreadable.tsv").read_text(encoding="utf-8")
    assert recognizer.calls == 6  # lips are read once, whatever the noise
    for decoder in found["decoders"].values():
        assert decoder["metrics"].keys() >= {"wer", "cer", "ver"}
    greedy, joint = (
        read_transcripts(tmp_path / "out" / f"predictions.{name}.tsv") for name in ("greedy", "joint")
    )
    assert greedy.hypotheses == joint.hypotheses
    assert found["noise"] == {"source": "babble", "voices": None, "heard": False, "conditions": []}
    joint_settings = {"beam_size": 3, "ctc_weight": 0.1, "length_bonus": 0.0}
    assert found["asked"] == {"joint": joint_settings, "noise_snr_db": [0.0]}
    with (tmp_path / "out" / "confusions.greedy.visemes.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    counts = found["decoders"]["greedy"]["counts"]["visemes"]
    assert sum(int(n) for line in lines[1:-1] for n in line[1:]) == counts["num_reference"]
    assert evaluation.other_settings(tmp_path / "out", options) == ""
    other = replace(options, joint=JointConfig(4))
    assert "joint {'beam_size': 3" in evaluation.other_settings(tmp_path / "out", other)


def test_sound_is_scored_in_noise_by_the_same_decoders(manifests: Path, tmp_path: Path) -> None:
    recognizer = Tones()
    options = Options(lm=language_model(), noise_snr_db=(-5.0, 30.0))
    found = evaluation.evaluate(recognizer, ROW, tmp_path / "out", data=manifests, options=options)
    assert recognizer.calls == 3 * 7 + 3  # the weights are chosen once, on clean sound
    assert (found["noise"]["voices"], found["noise"]["heard"]) == (6, True)
    quiet, loud = found["noise"]["conditions"]
    assert (quiet["snr_db"], loud["snr_db"]) == (30.0, -5.0)
    assert set(quiet["decoders"]) == {"greedy", "lm"}
    clean = found["decoders"]["greedy"]["metrics"]["wer"]["value"]
    rates = [c["decoders"]["greedy"]["metrics"]["wer"]["value"] for c in (quiet, loud)]
    assert clean <= rates[0] < rates[1]
    heard = [
        read_transcripts(tmp_path / "out" / f"predictions.greedy{name}.tsv") for name in ("", ".babble-5dB")
    ]
    assert heard[0].ids == heard[1].ids
    assert heard[0].hypotheses != heard[1].hypotheses
    assert f", of -5 dB WER {100 * rates[1]:.1f} %" in scores.figures(found)


def test_weights_are_never_chosen_on_what_is_scored(manifests: Path, tmp_path: Path) -> None:
    options = Options(lm=language_model(), dev_split="test")
    with pytest.raises(ValueError, match="cannot be tuned on the split that is scored"):
        evaluation.evaluate(Tones(), ROW, tmp_path / "out", data=manifests, options=options)
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_unreadable_recordings_are_named(manifests: Path, tmp_path: Path) -> None:
    (manifests / "test1.wav").write_bytes(b"no audio")
    found = evaluation.evaluate(Tones(), ROW, tmp_path / "out", data=manifests, options=Options())
    assert (found["n"], found["num_unreadable"]) == (6, 1)
    assert (tmp_path / "out" / "unreadable.tsv").read_text().startswith("test1\t")


def test_result_does_not_depend_on_the_batches(manifests: Path, tmp_path: Path) -> None:
    found_counts = []
    for size in (1, 5):
        options = Options(batch_size=size)
        found = evaluation.evaluate(Tones(True), ROW, tmp_path / str(size), data=manifests, options=options)
        found_counts.append(found["decoders"]["greedy"]["counts"])
    assert found_counts[0] == found_counts[1]


@pytest.mark.parametrize("missing", ["transcript", "speaker"])
def test_missing_columns_are_named(manifests: Path, missing: str) -> None:
    facts: dict[str, Any] = {"transcript": "a", "speaker": "b"} | {missing: None}
    row = Utterance("x", "test0.wav", 10, **facts)
    write_manifest(manifests, "odd", [row], root=manifests)
    with pytest.raises(ValueError, match=f"odd: . utterances have no {missing}"):
        acoustics.read_speech(manifests, "odd")


def test_language_must_be_known(manifests: Path) -> None:
    rows = [
        Utterance(name, "test0.wav", 10, transcript="a", speaker="b", language=name) for name in ("ca", "es")
    ]
    write_manifest(manifests, "odd", rows, root=manifests)
    with pytest.raises(ValueError, match=r"\['ca', 'es'\]; give it with --language"):
        acoustics.language_of(acoustics.read_speech(manifests, "odd"), "odd")


def test_a_run_is_scored_once(manifests: Path, tmp_path: Path) -> None:
    for partition in ("labels/1", "accent"):
        folder = tmp_path / "train" / partition / "tones" / "seed1"
        folder.mkdir(parents=True)
        for name in (trainings.LAST_CHECKPOINT, trainings.DONE):
            (folder / name).touch()
    jobs = trainings.finished_trainings(tmp_path, "synthetic", "x", ["labels/*"])
    (line,) = evaluation.recognise_all(jobs, lambda _: Tones(), Options())
    assert line.startswith(
        "labels/1/tones seed 1: greedy: WER 0.0 %, CER 0.0 % of 7 recordings (no spelling.json"
    )
    (again,) = evaluation.recognise_all(jobs, lambda _: pytest.fail("loaded again"), Options())
    assert again.endswith("already scored")
    (row,) = results.read_systems(tmp_path)
    assert (row["kind"], row["partition"]) == ("recognition", "labels/1")


def test_references_are_the_texts_of_the_manifest(manifests: Path, tmp_path: Path) -> None:
    """The rows say Catalan, the texts were written by the rules of Spanish: they are scored as they are."""
    for name in ("train", "test"):
        rows = list(read_manifest(manifests, name))
        spelled = {"wrd": lambda u: Spelling("es")(u.transcript or "")}
        write_manifest(manifests, name, rows, root=manifests, labels=spelled)
    write_spelling(manifests, Spelling("es"))
    found = evaluation.evaluate(Tones(), ROW, tmp_path / "out", data=manifests, options=Options())
    texts = read_transcripts(tmp_path / "out" / "predictions.greedy.tsv")
    assert texts.references[0] == "Ça àl."
    assert texts.spelled[0] == ("ca al", "ca al")
    assert (found["language"], found["spelling_from"]) == ("es", "spelling.json")
    assert found["decoders"]["greedy"]["metrics"]["wer"]["value"] == 0.0
    assert found["num_known_sentences"] == 1
    with pytest.raises(
        ValueError, match=r"spelled by es, lower case, .* and ca was chosen; leave out --language"
    ):
        evaluation.evaluate(Tones(), ROW, tmp_path / "x", data=manifests, options=Options(language="ca"))
    lm = replace(language_model(), spelling=Spelling("ca"))
    with pytest.raises(ValueError, match=r"words\.arpa: its words are spelled by ca, .* by es, "):
        evaluation.evaluate(Tones(), ROW, tmp_path / "x", data=manifests, options=Options(lm=lm))
    (manifests / "test.wrd").write_text("ca al\n")
    with pytest.raises(ValueError, match=r"test\.wrd: 7 rows expected, as in test\.tsv, found 1"):
        evaluation.evaluate(Tones(), ROW, tmp_path / "x", data=manifests, options=Options())


def test_manifests_without_a_record_are_read_and_that_is_said(manifests: Path, tmp_path: Path) -> None:
    options = Options()
    found = evaluation.evaluate(Tones(), ROW, tmp_path / "a", data=manifests, options=options)
    assert (
        found["spelling_from"] == "no spelling.json and no .wrd: transcripts are spelled by the rules of ca"
    )
    labels = {"wrd": lambda u: Spelling("ca")(u.transcript or "")}
    write_manifest(manifests, "test", list(read_manifest(manifests, "test")), root=manifests, labels=labels)
    found = evaluation.evaluate(Tones(), ROW, tmp_path / "b", data=manifests, options=options)
    assert found["spelling_from"].startswith(
        "no spelling.json: the texts of the .wrd look like ca, lower case"
    )
    (manifests / "test.wrd").write_text("ÇA  àl?\n" * 7, encoding="utf-8")
    found = evaluation.evaluate(Tones(), ROW, tmp_path / "c", data=manifests, options=options)
    assert found["spelling_from"].endswith("look like as written")
    assert found["decoders"]["greedy"]["metrics"]["wer"]["value"] > 0.5


def test_other_settings_are_noticed(manifests: Path, tmp_path: Path) -> None:
    folder = tmp_path / "train" / "labels" / "1" / "tones" / "seed1"
    folder.mkdir(parents=True)
    for name in (trainings.LAST_CHECKPOINT, trainings.DONE):
        (folder / name).touch()
    jobs = trainings.finished_trainings(tmp_path, "synthetic", "x", ["labels/*"])

    def score(options: Options) -> list[str]:
        return list(evaluation.recognise_all(jobs, lambda _: Tones(), options))

    lm = language_model()
    assert len(score(Options())) == 1
    assert "scored before with lm none, not words.arpa, beam none, not 8" in score(Options(lm=lm))[0]
    for options in (Options(lm=lm), Options(), Options(batch_size=2)):
        assert [line.endswith("already scored") for line in score(options)] == [True]
    assert "scored before with beam 8, not 4; scoring again" in score(Options(lm=replace(lm, beam_size=4)))[0]
    assert "max_dev 300, not 2" in score(Options(lm=replace(lm, beam_size=4), max_dev=2))[0]
    with_prior = replace(lm, beam_size=4, grid=replace(lm.grid, prior_scales=(0.2, 0.4)))
    assert "prior_scales [0.0], not [0.2, 0.4]" in score(Options(lm=with_prior, max_dev=2))[0]
    settings = json.loads((jobs[0].out / "metrics.json").read_text())["decoders"]["lm"]["settings"]
    assert settings["prior_scale"] > 0
    assert "log_prior" not in settings
    kept = read_lm_weights(jobs[0].checkpoint, Path(lm.name))
    assert kept is not None
    assert (kept.prior_scale, len(kept.log_prior)) == (settings["prior_scale"], len(Tones().symbols))
    score(Options(lm=replace(lm, beam_size=4), max_dev=2))
    assert "noise_snr_db [], not [5.0, 0.0]" in score(Options(noise_snr_db=(0.0, 5.0)))[0]
    assert score(Options(noise_snr_db=(0.0,)))[0].endswith("already scored")
    assert "split test, not valid" in score(Options(split="valid"))[0]
    path = jobs[0].out / "metrics.json"  # as an earlier version wrote it
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "asked"}))
    assert score(Options(split="valid"))[0].endswith("already scored")
    assert "lm none, not words.arpa" in score(Options(split="valid", lm=lm, dev_split="test"))[0]


@pytest.mark.parametrize("is_kept", [True, False])
def test_weights_are_kept_beside_the_checkpoint_of_a_run_only(
    manifests: Path, tmp_path: Path, is_kept: bool
) -> None:
    checkpoint = tmp_path / "checkpoint_last.pt"
    jobs = [trainings.FinishedTraining(checkpoint, manifests, ROW, tmp_path / "out")]
    options = Options(lm=language_model(), keep_weights=is_kept)
    (_,) = evaluation.recognise_all(jobs, lambda _: Tones(doubt=True), options)
    found = read_lm_weights(checkpoint, Path("words.arpa"))
    assert found == (LmWeights(0.5, 0.0, 0.0) if is_kept else None)
