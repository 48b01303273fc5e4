"""From clips to labels.tsv, by a real Whisper and by an engine that takes loudness for the language."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairseq_ext.jobs import Execution
from fairseq_ext.labelling.engine import Decoding, Hypothesis, Waveform
from fairseq_ext.labelling.filters import FilterSettings, judge
from fairseq_ext.labelling.label import Labeller, Recording, pooled, with_text
from fairseq_ext.labelling.load import load_engine
from fairseq_ext.labelling.run import Labelling, clip_items, label_clips
from fairseq_ext.labelling.table import ClipLabel, read_labels, write_labels
from fairseq_ext.media.mouth.table import read_clips, write_clips_table

RATE = 16_000
ALONE = Execution(workers=0, progress=False)
TOOL = Path(__file__).parents[3] / "tools" / "auto_label.py"
GREEDY = Decoding(beam_size=1, max_tokens=6, temperatures=(0.0,))
VIDEO = "id00001/abcdefghijk/0000"


class Loudness:
    """An engine for tests: the louder the speech, the more probable is French; quiet speech is Spanish."""

    name, languages, batch_size = "loudness", frozenset({"fr", "es", "en"}), 2

    def __init__(self) -> None:
        self.requested: list[str | None] = []

    def encode(self, windows: Sequence[Waveform]) -> list[float]:
        return [float(np.abs(window).max()) for window in windows]

    def detect_language(self, encoded: list[float]) -> list[list[tuple[str, float]]]:
        found = [[("fr", peak), ("es", 1 - peak - 0.01), ("en", 0.01)] for peak in encoded]
        return [sorted(row, key=lambda item: -item[1]) for row in found]

    def part(self, encoded: list[float], index: int, start_s: float, end_s: float) -> list[float]:
        return encoded[index : index + 1]

    def transcribe(self, encoded: list[float], languages: Sequence[str | None]) -> list[Hypothesis | None]:
        self.requested += languages
        return [Hypothesis(f"{code} text", code, -0.5, 0.1, 2) if code else None for code in languages]


def scaled(samples: np.ndarray, peak: float) -> np.ndarray:
    return (samples * (peak / np.abs(samples).max())).astype(np.float32)


def labels_of(folder: Path) -> dict[str, ClipLabel]:
    return {label.id: label for label in read_labels(folder / "labels.tsv")}


def test_a_whisper_labels_clips(
    whisper: Path, spoken: dict[str, np.ndarray], make_clips: Callable[..., Path], tmp_path: Path
) -> None:
    silence = np.zeros(2 * RATE, np.float32)
    clips = {
        "fr/a": ("a.mp4", spoken["fr"]), "quiet": ("q.mp4", silence), "it/b": ("b.mp4", spoken["it"]),
        "long": ("l.mp4", np.tile(spoken["es"], 14)), "damaged": ("d.mp4", silence),
    }  # fmt: skip
    folder = make_clips(tmp_path / "clips", clips)
    (folder / "audio" / "damaged.wav").write_bytes(b"RIFF")
    engine = load_engine(str(whisper / "ct2"), device="cpu", decoding=GREEDY)
    wanted = Labelling(str(folder), str(tmp_path / "out"), tuple(engine.languages), batch_size=3)
    summary = label_clips(wanted, lambda: engine, ALONE)
    assert summary.complete
    found = labels_of(tmp_path / "out")
    assert list(found) == list(clips)
    states = {name: label.state for name, label in found.items()}
    assert states == {
        "fr/a": "labelled", "quiet": "no_speech", "it/b": "labelled", "long": "labelled", "damaged": "unreadable",
    }  # fmt: skip
    assert found["quiet"].text == found["quiet"].languages == ""
    assert (found["fr/a"].num_tokens, found["fr/a"].model) == (6, f"{whisper.name}/ct2")
    assert found["long"].duration_s > 30
    assert found["long"].num_tokens >= 12  # two windows or more
    assert len(found["fr/a"].language_probabilities()) == 5
    assert -12 < (found["it/b"].avg_logprob or 0) < -8
    # The label does not depend on the other clips.
    (alone,) = Labeller(engine, engine.languages)([Recording("it/b", "b", spoken["it"])])
    assert (alone.text, alone.languages) == (found["it/b"].text, found["it/b"].languages)
    assert alone.avg_logprob == pytest.approx(found["it/b"].avg_logprob, abs=1e-3)


def test_unsure_clips_are_decoded_again_in_the_language_of_their_video(
    spoken: dict[str, np.ndarray], make_clips: Callable[..., Path], tmp_path: Path
) -> None:
    peaks = {f"{VIDEO}{i}": peak for i, peak in enumerate([0.95, 0.9, 0.4, 0.05])}
    folder = make_clips(
        tmp_path / "clips",
        {name: (f"{name}.mp4", scaled(spoken["fr"], peak)) for name, peak in peaks.items()}
        | {"other": ("o.mp4", scaled(spoken["fr"], 0.4))},
    )
    engine = Loudness()
    wanted = Labelling(str(folder), str(tmp_path / "out"), ("fr",))
    label_clips(wanted, lambda: engine, ALONE)
    found = labels_of(tmp_path / "out")
    rows = [(label.state, label.language) for label in found.values()]
    assert rows == [
        ("labelled", "fr"), ("labelled", "fr"), ("labelled", "fr"),  # the third one by vote
        ("other_language", "es"),  # sure of its own language
        ("other_language", "es"),  # alone in its video
    ]  # fmt: skip
    assert found[f"{VIDEO}2"].language_probability == pytest.approx(0.4, abs=0.01)
    assert [code for code in engine.requested if code] == ["fr"] * 3
    engine.requested.clear()
    label_clips(wanted, lambda: engine, ALONE)  # nothing is left to do
    assert engine.requested == []
    assert labels_of(tmp_path / "out") == found


def test_the_last_shard_runs_the_second_pass_and_an_update_adds_clips(
    spoken: dict[str, np.ndarray], make_clips: Callable[..., Path], tmp_path: Path
) -> None:
    peaks = {f"{VIDEO}{i}": peak for i, peak in enumerate([0.95, 0.9, 0.4, 0.45])}
    clips = {name: (f"{name}.mp4", scaled(spoken["fr"], peak)) for name, peak in peaks.items()}
    wanted = Labelling(
        str(make_clips(tmp_path / "clips", clips)), str(tmp_path / "out"), ("fr",), batch_size=1
    )
    engine = Loudness()
    for shard_id in (1, 0):
        assert not (tmp_path / "out" / "labels.tsv").exists()
        label_clips(wanted, lambda: engine, replace(ALONE, shards=2, shard_id=shard_id))
    assert [label.language for label in labels_of(tmp_path / "out").values()] == ["fr"] * 4

    make_clips(tmp_path / "clips", clips | {f"{VIDEO}4": ("4.mp4", scaled(spoken["fr"], 0.35))})
    engine.requested.clear()
    with pytest.raises(ValueError, match=f"found one more, '{VIDEO}4'; pass --update"):
        label_clips(wanted, lambda: engine, ALONE)
    label_clips(wanted, lambda: engine, replace(ALONE, update=True))
    assert [label.language for label in labels_of(tmp_path / "out").values()] == ["fr"] * 5
    assert engine.requested == [None, "fr"]  # the new clip, alone and in the language of its video


def test_patterns_that_match_no_source_are_named(make_clips: Callable[..., Path], tmp_path: Path) -> None:
    waveform = np.zeros(640, np.float32)
    names = {"a": "mtedx/fr/a.mp4", "b": "mtedx/fr/b.mp4", "c": "avspeech/c.mp4"}
    folder = make_clips(tmp_path / "clips", {name: (source, waveform) for name, source in names.items()})
    assert [item.id for item in clip_items(folder, ["nothing/*", "*/fr/*"])] == ["a", "b"]
    assert [item.id for item in clip_items(folder)] == ["a", "b", "c"]
    expected = r"no source matches nothing/\* or none\*; found sources such as mtedx/fr/a\.mp4, avspeech/c\.mp4; change"
    with pytest.raises(ValueError, match=expected):
        list(clip_items(folder, ["nothing/*", "none*"]))


def test_other_settings_are_refused(
    spoken: dict[str, np.ndarray], make_clips: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_clips(tmp_path / "clips", {"a": ("a.mp4", spoken["fr"])})
    label_clips(Labelling(str(folder), str(tmp_path / "out"), ("fr",)), Loudness, ALONE)
    with pytest.raises(ValueError, match="languages"):
        label_clips(Labelling(str(folder), str(tmp_path / "out"), ("fr", "es")), Loudness, ALONE)
    with pytest.raises(
        ValueError,
        match=r"found xx, expected some of .*; correct them, or take another model than",
    ):
        Labeller(Loudness(), ["fr", "xx"])
    empty = make_clips(tmp_path / "none", {})
    with pytest.raises(ValueError, match="no clip has status ok"):
        label_clips(Labelling(str(empty), str(tmp_path / "other"), ("fr",)), Loudness, ALONE)


def test_a_killed_run_continues_to_the_same_table(
    whisper: Path, spoken: dict[str, np.ndarray], make_clips: Callable[..., Path], tmp_path: Path
) -> None:
    clips = {f"c{i:02d}": (f"{i}.mp4", scaled(spoken["fr"], 0.2 + 0.01 * i)) for i in range(40)}
    folder, languages = make_clips(tmp_path / "clips", clips), "fr,it,es,pt"
    options = ["--clips", folder, "--model", whisper / "ct2", "--languages", languages, "--device", "cpu"]
    options += [
        "--temperatures",
        "0",
        "--beam",
        "1",
        "--max-tokens",
        "4",
        "--batch-size",
        "1",
        "--workers",
        "0",
    ]
    command = [sys.executable, str(TOOL), *map(str, options), "--out"]
    process = subprocess.Popen([*command, str(tmp_path / "killed")], env=_environment())
    done = tmp_path / "killed" / "jobs" / "label"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(list(done.glob("work-*/done/*"))) < 5:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was done before it could be killed"
    assert not (tmp_path / "killed" / "labels.tsv").exists()
    subprocess.run([*command, str(tmp_path / "killed")], env=_environment(), check=True)
    engine = partial(load_engine, str(whisper / "ct2"), device="cpu", decoding=Decoding(1, 4, (0.0,)))
    label_clips(
        Labelling(str(folder), str(tmp_path / "whole"), tuple(languages.split(",")), 1), engine, ALONE
    )
    assert (tmp_path / "killed" / "labels.tsv").read_bytes() == (
        tmp_path / "whole" / "labels.tsv"
    ).read_bytes()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(TOOL.parents[1]), "OMP_NUM_THREADS": "1"}


def test_a_recording_of_several_windows_has_one_label() -> None:
    found = pooled([[("fr", 0.5), ("it", 0.3), ("es", 0.2)], [("it", 0.6), ("fr", 0.35), ("es", 0.05)]])
    assert [code for code, _ in found] == ["it", "fr", "es"]
    assert sum(p for _, p in found) == pytest.approx(1)
    assert dict(found)["it"] == pytest.approx(0.18 / (0.18 + 0.175 + 0.01))
    row = ClipLabel(id="a", video="v", state="labelled", speech_s=2.0)
    parts = [Hypothesis(" Bonjour à\ttous.", "fr", -0.2, 0.1, 4), Hypothesis("", "fr", -2.0, 0.7, 0, 0.4)]
    joined = with_text(row, parts)
    assert joined.text == "Bonjour à tous."
    assert joined.avg_logprob == pytest.approx((-0.2 * 5 - 2.0) / 6)
    assert (joined.no_speech_prob, joined.temperature) == (pytest.approx(0.4), 0.4)
    assert joined.characters_per_second == pytest.approx(12 / 2)


class Waveforms(Loudness):
    """An engine whose encoded windows are the waveforms, so that parts of them differ."""

    def encode(self, windows: Sequence[Waveform]) -> Any:
        return list(windows)

    def part(self, encoded: Any, index: int, start_s: float, end_s: float) -> Any:
        return [encoded[index][round(start_s * RATE) : round(end_s * RATE)]]

    def detect_language(self, encoded: Any) -> list[list[tuple[str, float]]]:
        return super().detect_language(super().encode(encoded))


def test_a_recording_that_changes_its_language_is_refused(spoken: dict[str, np.ndarray]) -> None:
    loud, quiet = (np.tile(scaled(spoken["fr"], peak), 3) for peak in (0.98, 0.03))
    engine = Waveforms()
    changing, steady = Labeller(engine, ["fr"])(
        [
            Recording("a", "a", np.concatenate([loud, quiet])),
            Recording("b", "b", np.concatenate([loud, loud])),
        ]
    )
    assert (changing.language, steady.language) == ("fr", "fr")
    assert {max(part, key=part.__getitem__) for part in changing.part_languages()} == {"fr", "es"}
    assert judge(changing, None, FilterSettings()) == "languages_differ"
    slow = FilterSettings(min_characters_per_second=0.0)
    assert judge(replace(changing, parts=steady.parts), None, slow) is None


def test_a_language_that_is_known_is_not_detected(
    spoken: dict[str, np.ndarray], make_clips: Callable[..., Path], tmp_path: Path
) -> None:
    quiet = scaled(spoken["fr"], 0.03)  # taken for Spanish
    folder = make_clips(tmp_path / "clips", {"a": ("a.mp4", quiet)})
    found = {}
    for detect in (True, False):
        out = tmp_path / f"out{detect}"
        label_clips(Labelling(str(folder), str(out), ("fr",), detect=detect), Loudness, ALONE)
        found[detect] = labels_of(out)["a"]
    assert (found[True].state, found[True].text) == ("other_language", "")
    assert (found[False].text, found[False].language, found[False].language_probability) == (
        "fr text",
        "fr",
        1.0,
    )
    assert judge(found[False], None, FilterSettings(min_characters_per_second=0.0)) is None
    with pytest.raises(ValueError, match="--no-detect: one language expected, found es, fr"):
        Labeller(Loudness(), ["fr", "es"], detect=False)


def test_a_long_recording_is_labelled_window_by_window(
    spoken: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    waveform = np.tile(spoken["it"], 40)  # a minute and more
    (whole,) = Labeller(Loudness(), ["fr", "es"])([Recording("a", "a", waveform)])
    monkeypatch.setattr("fairseq_ext.labelling.label._MAX_ENCODED", 1)
    (apart,) = Labeller(Loudness(), ["fr", "es"])([Recording("a", "a", waveform)])
    assert apart == whole
    assert len(whole.text.split()) >= 6


def test_why_there_is_no_text_is_in_the_table(
    spoken: dict[str, np.ndarray], make_clips: Callable[..., Path], tmp_path: Path
) -> None:
    class Mute(Loudness):
        def transcribe(
            self, encoded: list[float], languages: Sequence[str | None]
        ) -> list[Hypothesis | None]:
            return [Hypothesis("", code, -0.5, 0.1, 0) if code else None for code in languages]

    sounds = {
        "zeros": np.zeros(RATE, np.float32), "noise": np.full(RATE, 0.1, np.float32), "mute": spoken["fr"],
        "damaged": spoken["fr"],
    }  # fmt: skip
    folder = make_clips(tmp_path / "clips", {name: (f"{name}.mp4", sound) for name, sound in sounds.items()})
    rows = [replace(row, missing_s=0.7 * (row.id == "damaged")) for row in read_clips(folder, status=None)]
    write_clips_table(folder, rows)
    wanted = Labelling(str(folder), str(tmp_path / "out"), ("fr", "es"))
    label_clips(wanted, Mute, ALONE)
    found = {name: (label.state, label.detail) for name, label in labels_of(tmp_path / "out").items()}
    assert found["zeros"] == ("no_speech", "no speech: digital silence, every sample is zero")
    assert found["noise"] == ("no_speech", "no speech: sound, peak at -20 dB")
    assert found["mute"][0] == "no_text"
    assert "s of speech detected, but the recogniser wrote nothing" in found["mute"][1]
    assert found["damaged"] == ("damaged", "0.70 s missing, 0 packets not decoded")
    label_clips(replace(wanted, out=str(tmp_path / "all"), keep_damaged=True), Loudness, ALONE)
    assert labels_of(tmp_path / "all")["damaged"].state == "labelled"


def test_the_table_is_read_as_written(tmp_path: Path) -> None:
    rows = [
        ClipLabel(
            id="fr/a", video="v", state="labelled", language="fr", language_probability=0.9125,
            languages="fr:0.9125 it:0.0500", parts="fr:0.9,it:0.1 it:0.8",
            text="L’été\n🌊 \ud83d ok", avg_logprob=-0.25, num_tokens=7,
            duration_s=2.5,
        ),
        ClipLabel(id="b", video="v", state="no_speech", duration_s=3.0, model="large-v2"),
    ]  # fmt: skip
    write_labels(tmp_path / "labels.tsv", rows)
    first, second = read_labels(tmp_path / "labels.tsv")
    assert first.text == "L’été 🌊 ? ok"
    assert (first.avg_logprob, first.num_tokens, first.temperature) == (-0.25, 7, None)
    assert first.language_probabilities() == {"fr": 0.9125, "it": 0.05}
    assert first.part_languages() == [{"fr": 0.9, "it": 0.1}, {"it": 0.8}]
    assert second == rows[1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id\t", "name\t", "labels.tsv:1: a column id expected"),
        ("labelled", "perhaps", "labels.tsv:2: an id and a state of"),
        ("0.5\t", "half\t", "labels.tsv:2: could not convert"),
        ("fr:0.5", "fr:many", "labels.tsv:2: could not convert"),
        ("\tgood", "\tgo\tod", "labels.tsv:2: expected 20 tab-separated columns"),
    ],
)
def test_a_damaged_table_is_refused_with_file_and_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "labels.tsv"
    facts: dict[str, Any] = {
        "language": "fr",
        "language_probability": 0.5,
        "languages": "fr:0.5",
        "text": "good",
    }
    write_labels(path, [ClipLabel(id="a", video="v", state="labelled", **facts)])
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        list(read_labels(path))
