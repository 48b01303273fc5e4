"""Benchmark of the conversion of MP3 clips to FLAC at 16 kHz, on one core: how many times faster than real time.

`file` is `media.convert.convert_file`, checks of damage included, and `folder` is `convert_folder`, which adds the
bookkeeping of `fairseq_ext.jobs`: some 10 ms per chunk of 16 clips, more in corpora above 4,096. The usual
script reads a clip with soundfile, resamples it with torchaudio and writes it with soundfile. All get the same clips in
turn; times are CPU seconds. The clips are first written again at the rate of the corpus to simulate: Common Voice has
32 and 48 kHz.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio
from tqdm import tqdm

from fairseq_ext.media.convert import convert_file, convert_folder

RATE_HZ = 16_000


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "clips", type=Path, help="folder of MP3 files, such as clips/ of Common Voice, real or synthetic"
    )
    parser.add_argument(
        "--rate-hz",
        type=int,
        default=48_000,
        help="sample rate of the MP3 files to convert (default: %(default)s)",
    )
    parser.add_argument("--num", type=int, default=300, help="largest number of clips (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each way (default: %(default)s)")
    return parser.parse_args()


def write_again(clips: list[Path], rate_hz: int, out: Path) -> list[Path]:
    """Write the clips at another rate."""
    out.mkdir()
    for clip in clips:
        waveform, own_hz = soundfile.read(clip, dtype="float32")
        resampled = torchaudio.functional.resample(torch.from_numpy(waveform.T), own_hz, rate_hz)
        soundfile.write(out / clip.name, resampled.T.numpy(), rate_hz, format="MP3")
    return [out / clip.name for clip in clips]


def usual(source: Path, target: Path) -> None:
    """Read, average the channels, resample, write."""
    waveform, rate_hz = soundfile.read(source, dtype="float32", always_2d=True)
    mono = torch.from_numpy(waveform.mean(1))
    soundfile.write(target, torchaudio.functional.resample(mono, rate_hz, RATE_HZ).numpy(), RATE_HZ)


def usual_all(clips: list[Path], out: Path) -> None:
    """Run the usual script."""
    for clip in clips:
        usual(clip, out / f"{clip.stem}.flac")


def files(clips: list[Path], out: Path) -> None:
    """Convert file by file."""
    for clip in clips:
        convert_file(clip, out / f"{clip.stem}.flac", RATE_HZ)


def folder(clips: list[Path], out: Path) -> None:
    """Convert the folder of the clips through `jobs`, in this process."""
    result = convert_folder(clips[0].parent, out, sample_rate_hz=RATE_HZ)
    assert result.num_converted == len(clips)


def seconds(convert: Callable[[list[Path], Path], None], clips: list[Path], out: Path) -> float:
    """Return the CPU seconds for all clips."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    start = time.process_time()
    convert(clips, out)
    return time.process_time() - start


def largest_difference(clips: list[Path], out: Path) -> float:
    """Return the largest difference of a sample between both conversions, full scale = 1."""
    largest = 0.0
    for clip in clips:
        one, other = (soundfile.read(out / way / f"{clip.stem}.flac")[0] for way in ("usual", "folder"))
        size = min(len(one), len(other))
        largest = max(largest, float(np.abs(one[:size] - other[:size]).max()))
    return largest


def main() -> None:
    """Measure and print."""
    args = parse_args()
    torch.set_num_threads(1)
    clips = sorted(args.clips.glob("*.mp3"))[: args.num]
    if not clips:
        raise SystemExit(f"{args.clips}: no MP3 files; pass the folder of the clips")
    sound_s = sum(soundfile.info(clip).duration for clip in clips)
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        clips = write_again(clips, args.rate_hz, out / "clips")
        ways = {"usual": usual_all, "file": files, "folder": folder}
        spent: dict[str, list[float]] = {way: [] for way in ways}
        for _ in tqdm(range(args.rounds), unit="round"):
            for way, convert in ways.items():
                spent[way].append(seconds(convert, clips, out / way))
        difference = largest_difference(clips, out)
    print(
        f"{len(clips)} clips of {args.rate_hz} Hz, {sound_s / 60:.1f} min; "
        f"largest difference of a sample {difference:.5f}"
    )
    for way, found in spent.items():
        print(f"{way:8}{sound_s / min(found):8.0f} x real time (slowest round {sound_s / max(found):.0f})")


if __name__ == "__main__":
    main()
