"""The text and the word times of long recordings: a recogniser whose weights read tones, each tone a letter.

Its convolutions are a filter per tone, its transformer passes its input on. So its output is known beforehand, for
every place of the seams.
"""

import json
import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from fairseq_ext.commands.main import main
from fairseq_ext.data.labels import SPECIAL_SYMBOLS
from fairseq_ext.decoding.ctc import BeamConfig, BeamSearch
from fairseq_ext.inference.recognizer import CtcRecognizer, load_recognizer
from fairseq_ext.inference.transcription import FORMATS, transcribe_files
from fairseq_ext.models.ctc import CtcConfig, ExtCtc

Samples = NDArray[np.float32]

RATE, HOP, REACH = 8000, 160, 200  # Hz; samples from frame to frame, and that a frame depends on
LETTERS = "|abcçdeàlo"
TONES_HZ = [400 + 300 * i for i in range(len(LETTERS))]
LETTER, GAP = 800, 480  # samples
NUM_CLIPS, CLIP = 20, 3 * RATE
WINDOW_S, OVERLAP_S = 4.0, 1.0
SIZES: dict[str, Any] = {
    "extractor_mode": "layer_norm",
    "conv_feature_layers": f"[({4 * len(LETTERS) + 4}, {REACH}, {HOP})]",
    "encoder_layers": 1,
    "encoder_embed_dim": len(LETTERS) + 2,
    "encoder_ffn_embed_dim": 8,
    "encoder_attention_heads": 2,
    "conv_pos": 4,
    "conv_pos_groups": 2,
}


def tone(letter: str, size: int = LETTER) -> Samples:
    time_s = np.arange(size) / RATE
    return (0.3 * np.sin(2 * np.pi * TONES_HZ[LETTERS.index(letter)] * time_s)).astype(np.float32)


@torch.no_grad()
def set_weights(model: ExtCtc) -> None:
    """Set filters of four phases of each tone, summed; silence scores half as much as the weakest tone."""
    num, encoder = len(LETTERS), model.w2v_encoder.w2v_model
    for name, value in model.named_parameters():
        if "norm" not in name and "conv_layers.0.2" not in name and not name.endswith("weight_v"):
            value.zero_()
    convolution, norm = encoder.feature_extractor.conv_layers[0].children()
    turns = torch.arange(REACH) / RATE * torch.tensor(TONES_HZ)[:, None, None] + torch.arange(4)[:, None] / 4
    filters = torch.cos(2 * np.pi * turns) * torch.hann_window(REACH)
    convolution.weight[: 4 * num, 0] = 0.001 * filters.flatten(0, 1)
    norm["1"].bias[4 * num :] = 3.0
    for i in range(num):
        encoder.post_extract_proj.weight[i, 4 * i : 4 * i + 4] = 1.0
    responses = []
    for i, letter in enumerate(LETTERS):
        frames, _ = encoder.conv_frames(torch.from_numpy(tone(letter))[None], None)
        responses.append(frames[0, 1:-1, 4 * i : 4 * i + 4].sum(1).min())
    constant = torch.nn.functional.gelu(torch.tensor(3.0))
    encoder.post_extract_proj.weight[num, 4 * num] = min(responses) / 2 / constant
    head = model.w2v_encoder.proj
    head.weight[len(SPECIAL_SYMBOLS) :, :num] = 20 * torch.eye(num)
    head.weight[0, num] = 20.0
    head.bias[1 : len(SPECIAL_SYMBOLS)] = -100.0


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    symbols = [*SPECIAL_SYMBOLS, *LETTERS]
    model = ExtCtc(CtcConfig(**SIZES), len(symbols))
    set_weights(model)
    task = {"_name": "ext_audio_ctc", "data": "", "sample_rate_hz": RATE}
    state = {
        "cfg": {"common": {"seed": 1}, "model": {**SIZES, "_name": "ext_ctc"}, "task": task},
        "model": model.state_dict(),
        "task_state": {"symbols": symbols},
    }
    path = tmp_path_factory.mktemp("tones") / "checkpoint_best.pt"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def recognizer(checkpoint: Path) -> CtcRecognizer:
    return load_recognizer(checkpoint)


class Spoken:
    """A minute of random words in clips of 3 s, with a silence longer than a window in the middle."""

    def __init__(self) -> None:
        generator = np.random.default_rng(5)
        self.clips: list[Samples] = []
        self.texts: list[str] = []
        self.times: list[tuple[int, int]] = []  # samples, of each word
        for index in range(NUM_CLIPS):
            silent = NUM_CLIPS // 2 <= index < NUM_CLIPS // 2 + 3
            sounds, words, position = [np.zeros(400, np.float32)], [], 400
            while not silent and position < CLIP - 8 * (LETTER + GAP):
                letters = generator.choice(list(LETTERS[1:]), size=generator.integers(1, 7))
                words.append("".join(letters))
                start = index * CLIP + position
                for letter in [*letters, "|"]:
                    sounds += [tone(letter), np.zeros(GAP, np.float32)]
                position += (len(letters) + 1) * (LETTER + GAP)
                self.times.append((start, start + len(letters) * (LETTER + GAP) - GAP))
            self.clips.append(np.concatenate([*sounds, np.zeros(CLIP, np.float32)])[:CLIP])
            self.texts.append(" ".join(words))

    @property
    def text(self) -> str:
        return " ".join(text for text in self.texts if text)


@pytest.fixture(scope="module")
def spoken() -> Spoken:
    return Spoken()


def test_clips_one_by_one(recognizer: CtcRecognizer, spoken: Spoken) -> None:
    assert any(a == b for text in spoken.texts for a, b in pairwise(text))  # doubled letters
    assert [recognizer.transcribe(clip) for clip in spoken.clips] == spoken.texts


@pytest.mark.parametrize("overlap_s", [OVERLAP_S, 0.3])
def test_no_letter_is_lost_or_doubled_wherever_the_seams_are(
    recognizer: CtcRecognizer, spoken: Spoken, overlap_s: float
) -> None:
    waveform = np.concatenate(spoken.clips)
    for shift in range(0, round((WINDOW_S - overlap_s) * RATE), 1999):
        shifted = np.concatenate([np.zeros(shift, np.float32), waveform])
        words = recognizer.timed_words(shifted, window_s=WINDOW_S, overlap_s=overlap_s)
        assert " ".join(word.text for word in words) == spoken.text
        times = np.array([(word.start_s, word.end_s) for word in words])
        assert (np.diff(times.ravel()) > 0).all()
        expected = (np.array(spoken.times) + shift) / RATE
        np.testing.assert_allclose(times, expected, rtol=0, atol=REACH / RATE)


def test_beam_search_gives_the_same(recognizer: CtcRecognizer, spoken: Spoken) -> None:
    search = BeamSearch(recognizer.symbols, BeamConfig(beam_size=4))
    waveform = np.concatenate([np.zeros(777, np.float32), *spoken.clips])
    words = recognizer.timed_words(waveform, search, window_s=WINDOW_S, overlap_s=OVERLAP_S)
    assert " ".join(word.text for word in words) == spoken.text
    times = np.array([(word.start_s, word.end_s) for word in words])
    expected = (np.array(spoken.times) + 777) / RATE
    np.testing.assert_allclose(times, expected, rtol=0, atol=REACH / RATE)


def test_file_of_another_rate_and_two_channels(
    recognizer: CtcRecognizer, spoken: Spoken, tmp_path: Path
) -> None:
    waveform = np.repeat(np.concatenate(spoken.clips), 6)  # 48 kHz; the images lie above what is kept
    path = tmp_path / "una minuta à.flac"
    soundfile.write(path, np.stack([waveform, waveform], axis=1), 6 * RATE)
    (found,) = transcribe_files(recognizer, [path], window_s=WINDOW_S)
    assert found.words is not None
    written = {name: write(found.words) for name, (_, write) in FORMATS.items()}
    assert written["text"] == spoken.text + "\n"
    content = json.loads(written["json"])
    assert content["text"] == spoken.text
    starts = [word["start_s"] for word in content["words"]]
    np.testing.assert_allclose(starts, [start / RATE for start, _ in spoken.times], rtol=0, atol=REACH / RATE)
    cues = [line for block in written["srt"].split("\n\n") for line in block.strip().split("\n")[2:]]
    assert " ".join(cues) == spoken.text


def write_late(path: Path, pieces: list[tuple[float, Samples]]) -> None:
    """Write pieces of sound, each at its time in s, beside pictures that start at 0."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=25, width=32, height=32, pix_fmt="yuv420p")
        sound: Any = container.add_stream("flac", rate=RATE, layout="mono")
        end_s = pieces[-1][0] + len(pieces[-1][1]) / RATE
        for index in range(round(25 * end_s)):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8))
            picture.pts = index
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
        for start_s, samples in pieces:
            block = np.rint(samples * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = round(start_s * RATE)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))


def cues(written: str) -> list[tuple[float, float, str]]:
    """Return start and end in s, and the text, of the cues of a .srt."""
    found = []
    for block in written.strip().split("\n\n"):
        _, times, *lines = block.split("\n")
        clock = [[float(part.replace(",", ".")) for part in time.split(":")] for time in times.split(" --> ")]
        start_s, end_s = (3600 * hours + 60 * minutes + seconds for hours, minutes, seconds in clock)
        found.append((start_s, end_s, " ".join(lines)))
    return found


def test_cues_of_sound_that_starts_late_or_pauses_lie_on_the_clock(
    checkpoint: Path, spoken: Spoken, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pieces = [(4.0, spoken.clips[0]), (9.5, spoken.clips[1])]  # 2.5 s without sound between them
    write_late(tmp_path / "late.mkv", pieces)
    write_late(tmp_path / "prompt.mkv", [(0.0, np.concatenate([clip for _, clip in pieces]))])
    files = [str(tmp_path / name) for name in ("late.mkv", "prompt.mkv")]
    for form in ("srt", "json"):
        assert main(["transcribe", str(checkpoint), *files, "--format", form, "--out", str(tmp_path)]) == 0
    late, prompt = (
        json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))["words"]
        for name in ("late", "prompt")
    )
    assert " ".join(word["word"] for word in late) == " ".join(spoken.texts[:2])
    shifts = [4.0 if time < CLIP else 6.5 for time, _ in spoken.times[: len(late)]]
    for word, other, shift in zip(late, prompt, shifts, strict=True):
        assert word["start_s"] == pytest.approx(other["start_s"] + shift, abs=REACH / RATE)
        assert word["end_s"] == pytest.approx(other["end_s"] + shift, abs=REACH / RATE)
    found = cues((tmp_path / "late.srt").read_text(encoding="utf-8"))
    assert " ".join(text for _, _, text in found) == " ".join(spoken.texts[:2])
    assert found[0][0] == pytest.approx(4.0 + spoken.times[0][0] / RATE, abs=REACH / RATE)
    num_first = len(spoken.texts[0].split())
    second = next(cue for cue in found if cue[0] > 7.5)
    assert second[0] == pytest.approx(6.5 + spoken.times[num_first][0] / RATE, abs=REACH / RATE)
    assert all(end_s <= 7.5 or start_s >= 9.5 for start_s, end_s, _ in found)  # none spans the pause
    capsys.readouterr()


def test_the_command_fails_when_nothing_was_heard(
    checkpoint: Path, spoken: Spoken, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "zeros.wav", np.zeros(2 * RATE), RATE)
    soundfile.write(tmp_path / "spoken.wav", spoken.clips[0], RATE)
    files = [str(tmp_path / name) for name in ("zeros.wav", "spoken.wav")]
    with pytest.raises(SystemExit) as end:
        main(["transcribe", str(checkpoint), *files, "--format", "srt", "--out", str(tmp_path / "out")])
    # Python prints a text to standard error and exits with status 1
    assert end.value.code == "fairseq-ext transcribe: 1 of 2 have no words; see above what they hold"
    said = capsys.readouterr().err
    assert re.search(r"zeros\.wav: no words in 2\.0 s of digital silence, every sample is zero", said)
    assert (tmp_path / "out" / "zeros.srt").read_text() == ""
    assert cues((tmp_path / "out" / "spoken.srt").read_text(encoding="utf-8"))
    assert main(["transcribe", str(checkpoint), files[1]]) == 0
    assert capsys.readouterr().out.strip() == spoken.texts[0]
