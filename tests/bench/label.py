"""Time and errors of labelling: openai-whisper or faster-whisper against ours, same weights and clips in one run.

openai-whisper is called as its README shows, `whisper.transcribe(model, waveform)`, clip by clip; ours is what
fairseq-ext label auto runs: speech detection, one encoding for language and text, int8 on a CPU, batches. Clips are
phrases of synthetic voices strung together, a share of them without a word (noise and silence, as in videos from the
wild). Times are CPU times of this process; "right" is the share of clips with speech whose language is right; WER is
measured on normalised texts of the clips with speech; "words" counts words written where nobody speaks.

    tests/bench/label.py                          random weights in the size of Whisper base: time only
    tests/bench/label.py --model-folder TRAINED   openai.pt and ct2/ of a model that knows the phrases: time and errors

    tests/bench/label.py --short 60               a real Whisper base against plain faster-whisper on clips of 2 s

The last reads ../shared/data/ravdess and the model that ../shared/tools/real_whisper.py fetches; the systems take turns
at each clip, with beam 5, int8 and one thread. --device and the other options do not matter to it.

Random weights never end a text, so both sides stop after as many tokens as such clips have, and neither decodes again.
A trained model decodes freely, with the default temperatures of either side.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_ext.labelling.engine import Decoding
from fairseq_ext.labelling.label import Labeller, Recording
from fairseq_ext.labelling.load import load_engine
from fairseq_ext.labelling.speech import find_speech
from fairseq_ext.media import audio
from fairseq_ext.synthetic import phrases, voices
from fairseq_ext.synthetic.whisper import write_random
from fairseq_ext.text.normalize import normalize
from fairseq_ext.text.scoring import count_all, error_rate_interval, total

RATE = 16_000
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
MODEL = Path.home() / ".cache" / "fairseq_ext" / "whisper-base"
STATEMENTS = {
    "01": "kids are talking by the door",
    "02": "dogs are sitting by the door",
}  # RAVDESS, fifth number
LANGUAGES = ("fr", "it", "es", "pt")
TOKENS_PER_S = 4.0  # tokens of Whisper per second of speech in these languages
SIZES = {
    "toy": (64, 2, 2),  # does it run, not how well
    "tiny": (384, 4, 6),
    "base": (512, 6, 8),
    "small": (768, 12, 12),
}  # width, layers, heads: Radford et al. 2022


@dataclass(frozen=True)
class Clip:
    """A waveform and its transcript; language "" where nobody speaks."""

    waveform: np.ndarray
    language: str
    text: str


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model-folder", type=Path, help="with openai.pt and ct2/ (default: weights of chance)"
    )
    parser.add_argument(
        "--short",
        type=int,
        metavar="N",
        help="compare with faster-whisper on N real clips of 2 s; few let the silence, encoded once, count too much",
    )
    parser.add_argument(
        "--size", choices=list(SIZES), default="base", help="of weights of chance (default: base)"
    )
    parser.add_argument("--clips", type=int, default=16, help="how many (default: 16)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of speech per clip, about (default: 6)")
    parser.add_argument(
        "--wordless", type=float, default=0.0, help="share of clips without speech (default: 0)"
    )
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 5], help="hypotheses (default: 1 5)")
    parser.add_argument(
        "--device", default="cpu", help="cpu or cuda; on the latter wall time counts (default: cpu)"
    )
    parser.add_argument(
        "--types", nargs="+", default=["auto"], help="of ours: int8, float32, ... (default: auto)"
    )
    parser.add_argument("--batch-size", type=int, default=8, help="of ours (default: 8)")
    return parser.parse_args()


def make_clips(num: int, seconds: float, wordless: float) -> list[Clip]:
    """Return clips of phrases by one voice each, the clips without words last."""
    num_spoken = num - round(num * wordless)
    rng = np.random.default_rng(1)
    per_language = -(-num // len(LANGUAGES)) * 12
    drawn = {code: phrases.draw(code, "test", per_language, seed=77) for code in LANGUAGES}
    clips = []
    for i in range(num_spoken):
        language = LANGUAGES[i % len(LANGUAGES)]
        voice = voices.voice_pool(language, num, seed=77)[i]
        texts, pieces = [], []
        for phrase in drawn[language][i // len(LANGUAGES) * 12 :]:
            texts.append(" ".join(phrase.words))
            pieces.append(voices.speak(voice, texts[-1], sample_rate_hz=RATE).samples)
            if sum(map(len, pieces)) >= seconds * RATE:
                break
        clips.append(Clip(np.concatenate(pieces).astype(np.float32), language, " ".join(texts)))
    for i in range(num - num_spoken):
        noise = rng.normal(scale=(0.0, 0.003, 0.05)[i % 3], size=round(seconds * RATE))
        clips.append(Clip(noise.astype(np.float32), "", ""))
    return clips


def theirs(folder: Path, args: argparse.Namespace, beam: int, cap: int | None) -> Callable[[list[Clip]], Any]:
    """Return a function that transcribes with openai-whisper, clip by clip."""
    import whisper

    model = whisper.load_model(str(folder / "openai.pt"), device=args.device)
    options: dict[str, Any] = {"fp16": args.device != "cpu", "beam_size": beam if beam > 1 else None}
    if cap:
        options |= {"temperature": 0.0, "sample_len": cap, "without_timestamps": True}
        options |= {
            "logprob_threshold": None,
            "compression_ratio_threshold": None,
            "no_speech_threshold": None,
        }

    def run(clips: list[Clip]) -> list[tuple[str, str]]:
        found = [whisper.transcribe(model, clip.waveform, **options) for clip in clips]
        return [(result["language"], result["text"]) for result in found]

    return run


def ours(
    folder: Path, args: argparse.Namespace, beam: int, cap: int | None, compute_type: str
) -> Callable[[list[Clip]], Any]:
    """Return a function that labels all clips as fairseq-ext label auto does."""
    decoding = Decoding(beam_size=beam, max_tokens=cap or 224)
    if cap:
        decoding = replace(decoding, temperatures=(0.0,))
    settings = {"device": args.device, "compute_type": compute_type, "batch_size": args.batch_size}
    engine = load_engine(str(folder / "ct2"), decoding=decoding, **settings)
    labeller = Labeller(engine, engine.languages)

    def run(clips: list[Clip]) -> list[tuple[str, str]]:
        found = []
        for i in range(0, len(clips), args.batch_size):
            batch = [Recording(str(i), "", clip.waveform) for clip in clips[i : i + args.batch_size]]
            found += [(label.language, label.text) for label in labeller(batch)]
        return found

    return run


def engine_alone(
    model: Path, args: argparse.Namespace, beam: int, cap: int, compute_type: str
) -> Callable[[list[Clip]], Any]:
    """Return a function that encodes, finds languages and transcribes as `ours` does, but looks for no speech.

    For machines without faster-whisper, whose wheel holds the speech detector: clips are taken as speech throughout,
    as `theirs` takes them.
    """
    decoding = Decoding(beam_size=beam, max_tokens=cap, temperatures=(0.0,))
    settings = {"device": args.device, "compute_type": compute_type, "batch_size": args.batch_size}
    engine = load_engine(str(model), decoding=decoding, **settings)

    def run(clips: list[Clip]) -> list[tuple[str, str]]:
        found = []
        for i in range(0, len(clips), args.batch_size):
            encoded = engine.encode([clip.waveform for clip in clips[i : i + args.batch_size]])
            languages = [likeliest[0][0] for likeliest in engine.detect_language(encoded)]
            texts = engine.transcribe(encoded, languages)
            found += [(code, text.text) for code, text in zip(languages, texts, strict=True)]
        return found

    return run


def row(clips: list[Clip], found: list[tuple[str, str]]) -> str:
    """Return the errors as a row of the table."""
    spoken = [(clip, *result) for clip, result in zip(clips, found, strict=True) if clip.language]
    right = sum(language == clip.language for clip, language, _ in spoken) / len(spoken)
    said = [normalize(clip.text, clip.language) for clip, _, _ in spoken]
    heard = [normalize(text, clip.language) for clip, _, text in spoken]
    silent = [text for clip, (_, text) in zip(clips, found, strict=True) if not clip.language]
    words = sum(len(text.split()) for text in silent)
    return f"{right:8.0%}{total(count_all(said, heard)).rate:8.1%}{words:8}"


def measure(run: Callable[[list[Clip]], Any], clips: list[Clip], on_gpu: bool) -> tuple[float, Any]:
    """Return seconds and results; a first clip loads everything that is loaded once."""
    run(clips[:1])
    clock = time.perf_counter if on_gpu else time.process_time
    start = clock()
    found = run(clips)
    return clock() - start, found


def short_clips(num: int) -> list[Clip]:
    """Return 2 s of speech from recordings of RAVDESS, drawn with a fixed seed."""
    clips = []
    for path in random.Random(1).sample(sorted((SHARED / "ravdess").glob("*/*.ogg")), num):
        waveform = audio.load(path, sample_rate_hz=RATE)
        spans = find_speech(waveform)
        start = max(0, spans[0][0] - RATE // 10) if spans else RATE
        clips.append(Clip(waveform[start : start + 2 * RATE], "en", STATEMENTS[path.stem.split("-")[4]]))
    return clips


def compare_short(num: int) -> None:
    """Transcribe each clip with both systems in turn, and print CPU time, its ratio, and errors with intervals."""
    from faster_whisper import WhisperModel

    plain = WhisperModel(str(MODEL), device="cpu", compute_type="int8", cpu_threads=1)
    engine = load_engine(str(MODEL), device="cpu", num_threads=1)
    labeller = Labeller(engine, engine.languages)

    def of_plain(waveform: np.ndarray) -> str:
        segments, _ = plain.transcribe(waveform, beam_size=5)
        return " ".join(segment.text for segment in segments)

    def of_ours(waveform: np.ndarray) -> str:
        return labeller([Recording("", "", waveform)])[0].text

    clips = short_clips(num)
    systems = {"faster-whisper": of_plain, "ours": of_ours}
    texts: dict[str, list[str]] = {name: [] for name in systems}
    cpu_s = dict.fromkeys(systems, 0.0)
    for number, clip in enumerate([*clips[:3], *clips]):  # the first ones load what is loaded once
        for name, transcribe in systems.items():
            start = time.process_time()
            text = transcribe(clip.waveform)
            if number >= 3:
                cpu_s[name] += time.process_time() - start
                texts[name].append(normalize(text, "en"))
    said = [clip.text for clip in clips]
    for name in systems:
        errors = error_rate_interval(count_all(said, texts[name]), seed=1)
        print(
            f"{name:16}{cpu_s[name] / num:8.3f} CPU s/clip  WER {errors.value:6.1%} "
            f"({errors.low:.1%} to {errors.high:.1%})  {cpu_s['faster-whisper'] / cpu_s[name]:.1f}x"
        )


def main() -> None:
    """Make the clips, run both, print the table."""
    import torch

    args = parse_args()
    torch.set_num_threads(1)
    if args.short:
        compare_short(args.short)
        return
    clips = make_clips(args.clips, args.seconds, args.wordless)
    audio_s = sum(len(clip.waveform) for clip in clips) / RATE
    with tempfile.TemporaryDirectory() as temporary:
        folder, cap = args.model_folder, None
        if folder is None:
            folder, cap = Path(temporary), round(TOKENS_PER_S * audio_s / len(clips))
            width, layers, heads = SIZES[args.size]
            write_random(folder, seed=0, d_model=width, layers=layers, heads=heads)
        clock = "wall" if args.device != "cpu" else "CPU"
        print(
            f"{len(clips)} clips, {audio_s:.0f} s, model {args.model_folder or args.size}, texts {cap or 'as they end'}"
        )
        print(
            f"{'':24}{clock + ' s/clip':>12}{'x real time':>13}{'speed-up':>10}{'right':>8}{'WER':>8}{'words':>8}"
        )
        for beam in args.beams:
            reference = 0.0
            systems: dict[str, Callable[..., Any]] = {"openai-whisper": theirs}
            systems |= {f"ours {kind}": partial(ours, compute_type=kind) for kind in args.types}
            for name, make in systems.items():
                seconds, found = measure(make(folder, args, beam, cap), clips, args.device != "cpu")
                reference = reference or seconds
                errors = row(clips, found) if cap is None else ""
                print(
                    f"beam {beam}, {name:16}{seconds / len(clips):12.3f}{audio_s / seconds:13.1f}"
                    f"{reference / seconds:9.1f}x{errors}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
