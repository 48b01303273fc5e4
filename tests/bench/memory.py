"""Benchmark of peak memory by length of the recording: conversion, transcription, labelling. Flat is what is wanted.

    tests/bench/memory.py                                    conversion: 10 and 60 minutes, WAV FLAC MP3 Ogg M4A
    tests/bench/memory.py --of transcribe label embed --minutes 10 60 120 --kinds wav

The recording is one synthetic sentence over and over, in stereo; models have tiny random weights, whose own memory is
a part of each figure and the same at all lengths. Each figure is of a process of its own: the most memory that it had
(VmHWM, pages of mapped files among it), and its CPU seconds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

RATE = 16_000
CODECS = {"wav": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame", "ogg": "libopus", "m4a": "aac"}
SENTENCE = "Anne achète deux pommes rouges demain"
SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>", "|", *"abcdefgh"]
SIZES = {
    "conv_feature_layers": "[(16, 10, 5)] + [(16, 8, 8)] * 2",  # 20 ms per frame
    "encoder_layers": 1,
    "encoder_embed_dim": 24,
    "encoder_ffn_embed_dim": 32,
    "encoder_attention_heads": 4,
    "conv_pos": 16,
    "conv_pos_groups": 4,
}


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--of", nargs="+", choices=list(WORK), default=["convert"], help="(default: convert)")
    parser.add_argument("--minutes", nargs="+", type=float, default=[10, 60], help="(default: 10 60)")
    parser.add_argument(
        "--kinds", nargs="+", choices=list(CODECS), default=list(CODECS), help="(default: all)"
    )
    parser.add_argument(
        "--rate-hz", type=int, default=48_000, help="rate of the recordings, Hz (default: 48000)"
    )
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # work and file, in a process of its own
    return parser.parse_args()


def write(path: Path, duration_s: float, rate_hz: int) -> None:
    """Write a recording of a length, a sentence at a time."""
    import av

    from fairseq_ext.synthetic import speech

    spoken = speech.synthesise(SENTENCE, language="fr")
    times = np.arange(0, spoken.duration_s, 1 / rate_hz)
    own = np.interp(times, np.arange(len(spoken.samples)) / spoken.sample_rate_hz, spoken.samples)
    mono = np.rint(np.pad(own, rate_hz // 2).clip(-1, 1) * 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[path.suffix[1:]], rate=rate_hz, layout="stereo")
        to_codec = av.AudioResampler(format=stream.format.name, frame_size=stream.frame_size or 0)
        for index in range(max(1, round(duration_s * rate_hz / len(mono)))):
            frame = av.AudioFrame.from_ndarray(np.repeat(mono, 2)[None], format="s16", layout="stereo")
            frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
            frame.pts = index * len(mono)
            for part in to_codec.resample(frame):
                container.mux(stream.encode(part))
        for part in to_codec.resample(None):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def convert(path: Path) -> None:
    """Convert to FLAC at 16 kHz, as fairseq-ext prepare audio does."""
    from fairseq_ext.media.convert import convert_file

    convert_file(path, path.with_name("converted.flac"), RATE)


def transcribe(path: Path) -> None:
    """Transcribe with a CTC network, as fairseq-ext transcribe does."""
    from omegaconf import OmegaConf

    from fairseq_ext.inference.recognizer import CtcRecognizer
    from fairseq_ext.inference.transcription import transcribe_files
    from fairseq_ext.models.ctc import CtcConfig, ExtCtc

    model = ExtCtc(OmegaConf.structured(CtcConfig(**SIZES)), len(SYMBOLS)).eval()
    (found,) = transcribe_files(CtcRecognizer(model, SYMBOLS, RATE, 0, OmegaConf.create({})), [path])
    if found.words is None:
        raise SystemExit(found.problem)


def label(path: Path) -> None:
    """Label with a Whisper of weights of chance, as fairseq-ext label auto does; every text is 8 tokens long."""
    from fairseq_ext.labelling.engine import Decoding
    from fairseq_ext.labelling.label import Labeller, Recording
    from fairseq_ext.labelling.load import load_engine
    from fairseq_ext.media.stretches import Stretches
    from fairseq_ext.synthetic.whisper import write_random

    write_random(path.parent / "whisper", seed=5)
    decoding = Decoding(beam_size=1, max_tokens=8, temperatures=(0.0,))
    engine = load_engine(str(path.parent / "whisper" / "ct2"), device="cpu", decoding=decoding)
    waveform = Stretches(path, RATE)
    waveform.check()
    (row,) = Labeller(engine, engine.languages)([Recording("a", "a", waveform)])
    if not row.speech_s:
        raise SystemExit(f"{path}: no speech was detected")


def embed(path: Path) -> None:
    """Embed with the layers of a network, and with prosody, as fairseq-ext embed does."""
    import torch
    from omegaconf import OmegaConf

    from fairseq_ext.inference.embedder import load_embedder
    from fairseq_ext.models.ctc import CtcConfig, ExtCtc

    model = ExtCtc(OmegaConf.structured(CtcConfig(**SIZES)), len(SYMBOLS))
    cfg = {"model": {**SIZES, "_name": "ext_ctc"}, "task": {"sample_rate_hz": RATE}}
    torch.save({"cfg": cfg, "model": model.state_dict()}, path.with_name("encoder.pt"))
    for encoder in (path.with_name("encoder.pt"), "prosody"):
        load_embedder(encoder)(path)


WORK = {"convert": convert, "transcribe": transcribe, "label": label, "embed": embed}


def measure(name: str, path: Path) -> None:
    """Do the work and print what it took."""
    start = time.process_time()
    WORK[name](path)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak_mb = int(status["VmHWM"].split()[0]) / 1024
    print(json.dumps({"peak_mb": peak_mb, "cpu_s": time.process_time() - start}))


def main() -> None:
    """Write recordings, measure, and print a table."""
    args = parse_args()
    if args.one:
        measure(args.one[0], Path(args.one[1]))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in tqdm(args.kinds, desc="kinds"):
            for minutes in args.minutes:
                path = Path(folder) / f"recording.{kind}"
                write(path, 60 * minutes, args.rate_hz)
                for name in args.of:
                    command = [sys.executable, __file__, "--one", name, str(path)]
                    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                    rows.append((name, kind, minutes, *json.loads(done.stdout.splitlines()[-1]).values()))
                path.unlink()
    print("| work | kind | minutes | peak memory, MB | CPU s |\n|---|---|---|---|---|")
    for name, kind, minutes, peak_mb, cpu_s in sorted(rows):
        print(f"| {name} | {kind} | {minutes:g} | {peak_mb:.0f} | {cpu_s:.0f} |")


if __name__ == "__main__":
    main()
