"""The pointing game of a recogniser, on a network whose frames are known, and its files in a run folder."""

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from torch import Tensor, nn

from fairseq_ext.explain import pointing_game as game_module
from fairseq_ext.explain.aligned_clips import Clip, choose_utterances, read_clips
from fairseq_ext.explain.integrated import IncompleteError
from fairseq_ext.explain.maps import FrameGrid
from fairseq_ext.explain.network import Network
from fairseq_ext.explain.pointing_game import ALIGNMENT, Settings, play, words_of
from fairseq_ext.explain.pointing_game_files import Options, explain_all, finished_recognizers
from fairseq_ext.explain.pointing_game_table import Played, table
from fairseq_ext.explain.word_times import find_word_times, read_word_times
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.report import extras
from fairseq_ext.scoring.scored_system import ScoredSystem
from fairseq_ext.scoring.trainings import FinishedTraining
from fairseq_ext.text.units import to_characters

RATE, HOP = 2000, 40  # frames of 20 ms
SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>", "|", *"abcç"]
GRID = FrameGrid(HOP / RATE, HOP / 2 / RATE)
# A frame holds one of these shapes: orthogonal, so that the network tells them apart.
SHAPES = np.stack([np.cos(math.pi * (k + 2) * (np.arange(HOP) + 0.5) / HOP) for k in range(len(SYMBOLS))])
LATE = 8  # frames
SENTENCES = ("ab ça", "b ac bç", "çab", "ab ac")
HEADER = "\tword_number\tword\tstart_s\tend_s\n"


class Roll(nn.Module):
    """A shift of frames in time."""

    def __init__(self, num_frames: int) -> None:
        super().__init__()
        self.num_frames = num_frames

    def forward(self, frames: Tensor) -> Tensor:
        return frames.roll(self.num_frames, dims=1)


class Letters(nn.Module):
    """A network that recognises the shapes, (B, S) -> (B, T, V); the frames of one of its layers are late."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes = nn.Linear(HOP, len(SYMBOLS), bias=False)
        self.late, self.back = Roll(LATE), Roll(-LATE)
        self.head = nn.Linear(len(SYMBOLS), len(SYMBOLS))
        with torch.no_grad():
            self.shapes.weight.copy_(torch.tensor(SHAPES) / 20)
            self.head.weight.copy_(10 * torch.eye(len(SYMBOLS)))
            self.head.bias.copy_(torch.tensor([3.0, *[0.0] * (len(SYMBOLS) - 1)]))  # blank without a sound

    def forward(self, waveform: Tensor) -> Tensor:
        frames = self.back(self.late(self.shapes(waveform.unfold(1, HOP, HOP))))
        return self.head(frames).log_softmax(2)


@dataclass
class FakeRecognizer:
    model: Any = field(default_factory=lambda: Letters().eval())
    cfg: Any = field(default_factory=lambda: SimpleNamespace(task=SimpleNamespace(labels="ltr")))
    symbols: list[str] = field(default_factory=lambda: list(SYMBOLS))
    sample_rate_hz: int = RATE
    num_updates: int = 1

    def log_probs(self, waveforms: list[Any]) -> tuple[Tensor, Tensor]:
        scores = self.model(torch.from_numpy(waveforms[0])[None]).detach()
        return scores, torch.tensor([scores.shape[1]])


@dataclass
class FakeExplained:
    model: nn.Module
    networks: Mapping[str, Network]


def explained(recognizer: FakeRecognizer) -> FakeExplained:
    """Return a layer whose frames are late, and one whose frames are those of the sound."""
    right = Network(recognizer.model, recognizer.model.shapes, 1, GRID, RATE)
    return FakeExplained(
        recognizer.model, {"late": replace(right, layer=recognizer.model.late), "right": right}
    )


def speak(text: str, generator: np.random.Generator) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Return frames of each letter with a pause after it, and the times of the words."""
    frames, spans = [np.zeros((3, HOP))], []
    for word in text.split():
        start = sum(map(len, frames))
        for letter in word:
            frames += [np.tile(SHAPES[SYMBOLS.index(letter)], (2, 1)), np.zeros((1, HOP))]
        spans.append((start * HOP / RATE, (sum(map(len, frames)) - 1) * HOP / RATE))
        frames += [np.tile(SHAPES[SYMBOLS.index("|")], (1, 1)), np.zeros((4, HOP))]
    samples = np.concatenate(frames).ravel()
    return 0.5 * samples + 0.01 * generator.normal(size=len(samples)), spans


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of two splits with word times."""
    folder, generator = tmp_path_factory.mktemp("data"), np.random.default_rng(3)
    (folder / "audio").mkdir()
    for split in ("valid", "test"):
        utterances, lines = [], []
        for number, text in enumerate(SENTENCES):
            samples, spans = speak(text, generator)
            name = f"{split}_{number}"
            soundfile.write(folder / "audio" / f"{name}.flac", samples, RATE)
            utterances.append(
                Utterance(name, f"{name}.flac", len(samples), transcript=text, speaker=f"{split}{number % 2}")
            )
            lines += [
                f"{name}\t{n}\t{word}\t{start}\t{end}\n"
                for n, (word, (start, end)) in enumerate(zip(text.split(), spans, strict=True))
            ]
        (folder / f"{split}.times.tsv").write_text("id" + HEADER + "".join(lines), encoding="utf-8")
        letters = {"ltr": lambda u: " ".join(to_characters(u.transcript or ""))}
        write_manifest(folder, split, utterances, root=folder / "audio", labels=letters, sample_rate_hz=RATE)
    return folder


def clips(data: Path, split: str, at_most: int = 9) -> list[Clip]:
    times = read_word_times([data / f"{split}.times.tsv"])
    return read_clips(FakeRecognizer(), data, split, times, max_utterances=at_most)


# Word times


def test_times_name_utterances_or_clips(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("id" + HEADER + "utt.1\t1\tça\t0.5\t0.75\n", encoding="utf-8")
    (tmp_path / "b.tsv").write_text("clip" + HEADER + "cv_7.mp3\t0\tb\t0\t0.25\n", encoding="utf-8")
    found = read_word_times([tmp_path / "a.tsv", tmp_path / "b.tsv"])
    assert list(found) == ["utt.1", "cv_7"]
    assert (found["utt.1"][1].word, found["utt.1"][1].start_s, found["utt.1"][1].end_s) == ("ça", 0.5, 0.75)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path\tstart\n", r"x\.tsv:1: the columns id \(or clip\), word_number"),
        ("id" + HEADER + "a\tone\tb\t0\t1\n", r"x\.tsv:2: a number and two times expected"),
        ("id" + HEADER + "a\t0\tb\t1\t1\n", r"x\.tsv:2: 0 <= start_s < end_s expected, found 1 and 1"),
        ("id" + HEADER + "a\t0\tb\t1\n", r"x\.tsv:2: expected 5 tab-separated columns, found 4"),
        ("", r"x\.tsv:1: the columns"),
    ],
)
def test_other_files_are_no_times(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "x.tsv").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_word_times([tmp_path / "x.tsv"])


def test_times_are_found_where_corpora_put_them(data: Path, tmp_path: Path) -> None:
    assert find_word_times(data, tmp_path, ["valid", "test"]) == [
        data / "valid.times.tsv",
        data / "test.times.tsv",
    ]
    assert find_word_times(tmp_path, tmp_path, ["test"]) == find_word_times(tmp_path, None, ["test"]) == []
    (tmp_path / "SYNTHETIC_times.tsv").touch()
    assert find_word_times(tmp_path, tmp_path, ["test"]) == [tmp_path / "SYNTHETIC_times.tsv"]


# Clips


def test_speakers_take_turns_and_those_without_times_are_left_out() -> None:
    said = [Utterance(f"u{i}", "x", 1, speaker="abc"[i // 4]) for i in range(12)]
    known: dict[str, Any] = {u.id: {} for u in said if u.id != "u0"}
    chosen = choose_utterances(said, known, 6)
    assert sorted(said[i].speaker or "" for i in chosen) == ["a", "a", "b", "b", "c", "c"]
    assert 0 not in choose_utterances(said, known, 99)
    assert chosen == choose_utterances(said, known, 99)[:6]


def test_words_are_aligned_to_when_they_were_said(data: Path) -> None:
    found = clips(data, "test")
    assert sorted(clip.transcript for clip in found) == sorted(SENTENCES)
    for word in words_of(found):
        start_s, end_s = word.spoken_s
        assert word.is_recognised
        assert start_s - GRID.step_s <= GRID.span_s(word.aligned.spans[0].start, 0)[0]
        assert GRID.span_s(0, word.aligned.spans[-1].end)[1] <= end_s + GRID.step_s


def test_times_of_another_corpus_are_refused(data: Path) -> None:
    times = read_word_times([data / "test.times.tsv"])
    first = times["test_0"][0]
    changed = {**times, "test_0": {0: replace(first, word="bb")}}
    with pytest.raises(ValueError, match=r"word times of test_0, word 0: 'ab' .* expected, found 'bb'"):
        read_clips(FakeRecognizer(), data, "test", changed, max_utterances=9)
    with pytest.raises(ValueError, match="none of 4 utterances has word times"):
        read_clips(FakeRecognizer(), data, "valid", times, max_utterances=9)


def test_recordings_that_cannot_be_aligned_are_left_out(data: Path) -> None:
    """The recogniser lacks one of their letters."""
    times = read_word_times([data / "test.times.tsv"])
    known = FakeRecognizer(symbols=[*SYMBOLS[:-1], "x"])
    found = read_clips(known, data, "test", times, max_utterances=9)
    assert {clip.transcript for clip in found} == {text for text in SENTENCES if "ç" not in text}


# The game


def test_game_chooses_the_layer_on_dev_and_the_default_hits(data: Path) -> None:
    recognizer = FakeRecognizer()
    ready = explained(recognizer)
    game = play(ready.model, ready.networks, clips(data, "valid"), clips(data, "test"), Settings())
    assert list(game.scores) == ["hirescam", "gradcam", "occlusion", ALIGNMENT]
    assert game.scores["hirescam"].layer == "right"
    assert game.dev["hirescam"]["late"] < 0.5 < game.dev["hirescam"]["right"] == 1.0
    assert game.scores["occlusion"].layer == ""
    for method in ("hirescam", "occlusion", ALIGNMENT):
        assert game.scores[method].words.hit_rate.value == 1.0
        assert game.scores[method].words.num_cases == game.num_dev == 8
    heard = game.scores["hirescam"].heard
    assert heard is not None
    assert heard.num_cases == 8
    random = game.scores["hirescam"].randomised
    assert random is not None
    assert random.value < 0.5
    assert all(parameter.requires_grad for parameter in recognizer.model.parameters())


def test_layer_does_not_depend_on_the_test_split(data: Path) -> None:
    """With dev's times late, the wrong layer is chosen, and the test score shows it."""
    late = [
        replace(
            c,
            words=tuple(
                replace(w, spoken_s=tuple(t + LATE * HOP / RATE for t in w.spoken_s)) for w in c.words
            ),
        )
        for c in clips(data, "valid")
    ]
    ready = explained(FakeRecognizer())
    settings = Settings(methods=("hirescam",), max_randomised=0)
    game = play(ready.model, ready.networks, late, clips(data, "test"), settings)
    assert game.scores["hirescam"].layer == "late"
    assert game.scores["hirescam"].words.hit_rate.value < 0.5
    assert game.scores["hirescam"].randomised is None


def test_integrated_gradients_that_do_not_add_up_are_misses(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def incomplete(*_: Any) -> Any:
        raise IncompleteError

    monkeypatch.setattr(game_module, "attribute", incomplete)
    ready = explained(FakeRecognizer())
    found = clips(data, "test", 2)
    settings = Settings(methods=("integrated_gradients",))
    game = play(ready.model, ready.networks, found, found, settings)
    score = game.scores["integrated_gradients"].words
    assert score.num_flat == score.num_cases > 0
    assert score.hit_rate.value == 0.0
    played = Played("test", "valid", found, settings.tolerance_s)
    made = table(game, ScoredSystem("x", "asr", 1, "real", ""), played)
    assert f"Integrated gradients finds nothing for {score.num_flat} of the words" in made["note"]


# Files


def job(data: Path, out: Path) -> FinishedTraining:
    return FinishedTraining(
        Path("none.pt"), data, ScoredSystem("ctc_random", "asr", 1, "synthetic", "tools/attribute.py"), out
    )


def load(_path: str) -> tuple[FakeRecognizer, FakeExplained]:
    recognizer = FakeRecognizer()
    return recognizer, explained(recognizer)


def refuse(_path: str) -> Any:
    raise AssertionError("nothing is loaded")


@pytest.fixture(scope="module")
def played(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Play a game with the files of a report; return the run folder, and the lines for the terminal."""
    run = tmp_path_factory.mktemp("played")
    return run, list(explain_all([job(data, run / "attribution")], load, Options()))


def test_report_reads_the_files_of_a_game(played: tuple[Path, list[str]]) -> None:
    run, (line,) = played
    out = run / "attribution"
    assert line.startswith("asr/ctc_random seed 1: HiRes-CAM 100.0% of 8 words, chance ")
    (table,) = extras.read_tables(run)
    assert table["title"] == "Attribution: pointing game, ctc random, asr, seed 1"
    assert table["rows"][0][:3] == ["HiRes-CAM", "right", "100.0"]
    assert table["rows"][-1][0] == "CTC alignment alone"
    for said in ("20 ms of tolerance", "4 recordings of test by 2 speakers", "chosen on valid (8 words)"):
        assert said in table["note"]
    assert "95.0 % hits, reached; a correlation of 0.5 at most, reached." in table["note"]
    names = sorted(path.name for path in out.iterdir())
    assert "asr-ctc_random-seed1-hit_rates.png" in names
    content = json.loads((out / "asr-ctc_random-seed1-hit_rates.json").read_text(encoding="utf-8"))
    assert content["scores"]["hirescam"]["words"]["hit_rate"]["value"] == 1.0
    assert content["facts"]["data"] == "synthetic"
    for path in out.glob("*.png"):
        assert Image.open(path).width > 500
        assert json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["description"]


def test_explained_systems_are_skipped_unless_forced(
    data: Path, tmp_path: Path, played: tuple[Path, list[str]]
) -> None:
    options = Options(game=Settings(methods=("hirescam",), max_randomised=0))
    shutil.copytree(played[0] / "attribution", tmp_path, dirs_exist_ok=True)
    (tmp_path / "asr-ctc_random-seed1-word9.png").touch()
    assert list(explain_all([job(data, tmp_path)], refuse, options)) == [
        "asr/ctc_random seed 1: already explained"
    ]
    list(explain_all([job(data, tmp_path)], load, options, force=True))
    assert not (tmp_path / "asr-ctc_random-seed1-word9.png").exists()


def test_without_word_times_nothing_is_played(tmp_path: Path) -> None:
    (line,) = explain_all([job(tmp_path, tmp_path / "out")], refuse, Options(), corpus=tmp_path)
    assert line.startswith(f"asr/ctc_random seed 1: no word times in {tmp_path}")
    assert not (tmp_path / "out").exists()
    assert list(explain_all([], refuse, Options())) == [
        "no finished training of a recogniser found, so nothing is explained"
    ]


def test_layer_is_never_chosen_on_the_scored_split(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the layer cannot be chosen on the split that is scored"):
        list(explain_all([job(data, tmp_path)], load, Options(dev_split="test")))


def test_recognisers_of_a_run(tmp_path: Path) -> None:
    for name in ("asr/ctc/seed1", "asr/ctc/seed2", "ssl/wav2vec2/seed1"):
        folder = tmp_path / "train" / name
        folder.mkdir(parents=True)
        for file in ("checkpoint_last.pt", "done"):
            (folder / file).touch()
    (found,) = finished_recognizers(tmp_path, "real", "x", ["asr"], seed=1)
    assert (found.system.name, found.system.seed, found.out) == ("ctc", 1, tmp_path / "attribution")
    assert found.data == tmp_path / "manifests" / "asr"
