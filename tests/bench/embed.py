"""Speed of embeddings: `fairseq-ext embed` against the plain loop over transformers, same weights, files and machine.

    tests/bench/embed.py                        real Whisper base and a random HuBERT base, on 240 clips
    tests/bench/embed.py --of hubert --clips 60 --corpus FOLDER

The loop is what the documentation of transformers shows: a file at a time, torch on all cores, mean and deviation of
every layer. For Whisper its feature extractor pads each clip to 30 s; the way `unpadded` is the same encoder on the
spectrogram without that padding, which is what ours computes. Clips are read by `media.audio.load` everywhere, so that
all have the same samples. Each way is a process of its own, timed from its start to its end: imports, weights, workers
and files of the result included. Memory is the most that a process and its children held together.

Outputs are compared in every layer, as the largest difference over the layer's root mean square: ours with the plain
loop (HuBERT) or the unpadded one (Whisper), where it must be under 1e-3, since some channels of Whisper's upper layers
reach 500 where the root mean square is 3; and with the padded loop, which is printed. The exit status is 1 where the
outputs differ, or ours is not as fast as `--least` and `--least-hubert` want it, in times of the plain loop.

HuBERT base takes 13 GFLOP per second of speech in float32 whoever computes it, and the loop reaches three quarters of
what a core's matrix products do; what is left to gain is that a worker per core loses nothing to threads that wait.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

RATE = 16_000
REPOSITORY = Path(__file__).resolve().parents[2]
WHISPER = Path.home() / ".cache" / "fairseq_ext" / "whisper-base-hf"
RAVDESS = REPOSITORY.parent / "shared" / "data" / "ravdess"
MOST_APART = {"hubert": 1e-4, "whisper": 1e-3}
PLAIN = "plain loop"


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--of", nargs="+", default=["whisper", "hubert"], choices=["whisper", "hubert"])
    parser.add_argument("--whisper", type=Path, default=WHISPER, help=f"its folder (default: {WHISPER})")
    parser.add_argument("--corpus", type=Path, help="folder of recordings (default: RAVDESS, else noise)")
    parser.add_argument(
        "--clips", type=int, default=240, help="recordings, evenly from the corpus (default: 240)"
    )
    parser.add_argument(
        "--workers", type=int, default=len(os.sched_getaffinity(0)), help="default: the cores"
    )
    parser.add_argument("--least", type=float, default=3.0, help="speed-up wanted of Whisper (default: 3)")
    parser.add_argument("--least-hubert", type=float, default=1.0, help="of HuBERT (default: 1)")
    parser.add_argument("--loop", nargs=3, help=argparse.SUPPRESS)  # way, model, folder of the work
    return parser.parse_args()


def main() -> int:
    """Run every way on every model, and print a table."""
    args = parse_args()
    if args.loop:
        run_loop(args.loop[0], Path(args.loop[1]), Path(args.loop[2]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        seconds = list_clips(args, work)
        print(f"{args.clips} clips, {seconds / 60:.1f} min of speech, {args.workers} workers\n")
        return max(compare(kind, args, work, seconds) for kind in args.of)


def list_clips(args: argparse.Namespace, work: Path) -> float:
    """Write the list of recordings to clips.txt, and return their length together, s."""
    from fairseq_ext.media.audio import probe
    from fairseq_ext.media.media_files import media_files

    corpus = args.corpus or (RAVDESS if RAVDESS.is_dir() else _noise(work / "noise", args.clips))
    paths = media_files(corpus).paths
    step = max(1, len(paths) // args.clips)
    chosen = [str(corpus / path) for path in paths[::step][: args.clips]]
    args.clips = len(chosen)
    (work / "clips.txt").write_text("\n".join(chosen), encoding="utf-8")
    infos = [probe(path) for path in chosen]
    return sum(info.num_samples / info.sample_rate_hz for info in infos)


def _noise(folder: Path, num: int) -> Path:
    """Write noise in the rhythm of syllables, 2 to 6 s."""
    import soundfile

    folder.mkdir()
    draw = np.random.default_rng(1)
    for number in range(num):
        size = round(RATE * draw.uniform(2.0, 6.0))
        loudness = 0.1 * (1.2 + np.sin(2 * np.pi * 4.0 * np.arange(size) / RATE))
        soundfile.write(
            folder / f"{number:04}.flac", (loudness * draw.normal(scale=0.3, size=size)).clip(-1, 1), RATE
        )
    return folder


def compare(kind: str, args: argparse.Namespace, work: Path, seconds: float) -> int:
    """Run the ways of a kind of encoder, and return 1 if one is slower or gives other numbers than it should."""
    model = args.whisper if kind == "whisper" else _hubert(work / "hubert")
    files = (work / "clips.txt").read_text(encoding="utf-8").splitlines()
    program = [sys.executable, "-m", "fairseq_ext.commands.main", "embed", *files, "--encoder", str(model)]
    out = work / f"{kind}_ours"
    loop = [sys.executable, __file__, "--loop"]
    ways = {PLAIN: [*loop, "plain", str(model), str(work)]}
    if kind == "whisper":
        ways["unpadded loop"] = [*loop, "unpadded", str(model), str(work)]
    # Without the silence around each clip that Whisper's has by default, which the loops do not add.
    ways["ours"] = [*program, "--pad-s", "0", "--out", str(out), "--workers", str(args.workers)]
    figures = {}
    for name, command in ways.items():
        figures[name] = measure(command)
        wall_s, peak_mb = figures[name]
        speed, gain = seconds / wall_s, figures[PLAIN][0] / wall_s
        print(
            f"{kind:8} {name:14} {wall_s:7.1f} s {speed:7.1f} h of speech per hour {gain:5.2f}x {peak_mb:6.0f} MB"
        )
    found = np.load(out / "embeddings.npz")["embedding"]
    reference = "unpadded loop" if kind == "whisper" else PLAIN
    apart = {
        name: distances(found, np.load(work / f"{name.split()[0]}.npy")) for name in ways if name != "ours"
    }
    for name, row in apart.items():
        print(f"{kind:8} ours from the {name}, by layer: {' '.join(f'{value:.0e}' for value in row)}")
    gain, least = (
        figures[PLAIN][0] / figures["ours"][0],
        args.least if kind == "whisper" else args.least_hubert,
    )
    is_good = max(apart[reference]) < MOST_APART[kind] and gain >= least
    print(f"{kind:8} {'as wanted' if is_good else f'NOT {least:g}x at equal output'}\n")
    return 0 if is_good else 1


def distances(found: np.ndarray, expected: np.ndarray) -> list[float]:
    """Return the largest difference of each layer of (N, L, P) over the layer's root mean square."""
    size = np.sqrt(np.square(expected).mean((0, 2)))
    return (np.abs(found - expected).max((0, 2)) / size).tolist()


def measure(command: list[str]) -> tuple[float, float]:
    """Run a command; return its wall time, s, and the most memory of it and its children, MB."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TQDM_DISABLE": "1"}
    environment.pop("OMP_NUM_THREADS", None)
    began, peak = time.perf_counter(), 0.0
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        while process.poll() is None:
            peak = max(peak, sum(_memory_mb(pid) for pid in _family(process.pid)))
            time.sleep(0.1)
        wall_s = time.perf_counter() - began
        if process.returncode:
            said.seek(0)
            sys.exit(f"{said.read()}\n{' '.join(command[:4])} ...: exit status {process.returncode}")
    return wall_s, peak


def _family(pid: int) -> Iterator[int]:
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in path.read_text().split():
                yield from _family(int(child))
        except OSError:  # it has ended
            pass


def _memory_mb(pid: int) -> float:
    """Return the memory of a process, MB; pages that several share count in parts."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in text.splitlines() if line.startswith("Pss:")), 0.0)


def _hubert(folder: Path) -> Path:
    """Write a model of HuBERT base's shape with random weights, as transformers does."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(1)
    transformers.HubertModel(transformers.HubertConfig()).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)
    return folder


def run_loop(way: str, model: Path, work: Path) -> None:
    """Embed every clip by transformers, one at a time, and write them to WAY.npy, (N, L, P)."""
    import torch

    from fairseq_ext.media.audio import load

    embed = _hubert_states(model) if model.name == "hubert" else _whisper_states(model, way == "plain")
    rows = []
    with torch.no_grad():
        for path in (work / "clips.txt").read_text(encoding="utf-8").splitlines():
            layers = embed(load(path, sample_rate_hz=RATE))
            rows.append(torch.stack([torch.cat([x.mean(0), x.std(0, correction=0)]) for x in layers]).numpy())
    np.save(work / f"{way}.npy", np.stack(rows))


def _hubert_states(model: Path) -> Any:
    import transformers

    extract = transformers.Wav2Vec2FeatureExtractor.from_pretrained(model)
    network = transformers.HubertModel.from_pretrained(model).eval()

    def embed(waveform: Any) -> list[Any]:
        inputs = extract(waveform, sampling_rate=RATE, return_tensors="pt")
        return [x[0] for x in network(**inputs, output_hidden_states=True).hidden_states]

    return embed


def _whisper_states(model: Path, is_padded: bool) -> Any:
    """Return the layers of a clip over its own frames, by the spectrogram of 30 s or of the clip alone."""
    import torch.nn.functional as F
    import transformers

    extract = transformers.WhisperFeatureExtractor.from_pretrained(model)
    network = transformers.WhisperModel.from_pretrained(model).encoder.float().eval()
    states: list[Any] = []
    for layer in network.layers:
        layer.register_forward_pre_hook(
            lambda _, args, named: states.append(args[0] if args else named["hidden_states"]),
            with_kwargs=True,
        )
    network.layer_norm.register_forward_pre_hook(lambda _, args: states.append(args[0]))

    def embed(waveform: Any) -> list[Any]:
        states.clear()
        size = -(-len(waveform) // 320)
        mel = extract(waveform, sampling_rate=RATE, return_tensors="pt").input_features
        if is_padded:
            states.append(network(mel).last_hidden_state)
        else:
            # One frame more than the clip has, for the last one to see the silence after it.
            x = F.gelu(network.conv2(F.gelu(network.conv1(mel[:, :, : 2 * size + 2])))).mT[:, :size]
            x = x + network.embed_positions.weight[:size]
            for layer in network.layers:
                x = layer(x, None)
                x = x[0] if isinstance(x, tuple) else x
            states.append(network.layer_norm(x))
        return [x[0, :size] for x in states]

    return embed


if __name__ == "__main__":
    sys.exit(main())
