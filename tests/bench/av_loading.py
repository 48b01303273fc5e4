"""Frames per second that one worker reads and transforms: pictures, sound, both; decoded anew or from the packed file.

    python tests/bench/av_loading.py MANIFESTS [--split train] [--clips 100] [--cache FOLDER]

Seconds are the process's own CPU time. A network needs less than a worker gives, or `task.video_cache` helps. On 988
clips of GRID's speaker s1 (75 frames of 96 x 96, H.264; an AVX2 core of a busy machine): decoding alone 5,700, pictures
3,900, from the packed file 16,900, with sound 9,500; sound alone 19,300, with babble of 10 voices 3,700.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from fairseq_ext.data.av_augment import PictureConfig, PictureTransform
from fairseq_ext.data.av_dataset import AvDataset
from fairseq_ext.data.av_rows import AvRows
from fairseq_ext.data.noise import NoiseConfig, NoiseMixer
from fairseq_ext.data.packed_clips import DecodedClips, PackedClips

VOICES = 10


def rate(dataset: AvDataset, num_clips: int) -> float:
    """Return the frames per CPU second of reading clips and making batches of 16."""
    start, num_frames = time.process_time(), 0
    rows = range(min(num_clips, len(dataset)))
    for first in range(0, len(rows), 16):
        items = [dataset[row] for row in rows[first : first + 16]]
        dataset.collater(items)
        num_frames += sum(item.num_frames for item in items)
    return num_frames / (time.process_time() - start)


def main() -> None:
    """Print a line per way of reading."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifests", type=Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--cache", type=Path, help="folder of packed pictures (default: a temporary one)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = AvRows(args.manifests, args.split)
    with tempfile.TemporaryDirectory() as temporary:
        packed = PackedClips(args.cache or Path(temporary), rows)
        ways: dict[str, dict[str, Any]] = {
            "pictures": {"read_pictures": DecodedClips(rows), "sound": False},
            "pictures, packed": {"read_pictures": packed, "sound": False},
            "sound": {"read_pictures": None, "sound": True},
            "sound in babble": {"read_pictures": None, "sound": True},
            "both": {"read_pictures": DecodedClips(rows), "sound": True},
            "both, packed": {"read_pictures": packed, "sound": True},
        }
        for name, way in ways.items():
            transform = PictureTransform(PictureConfig(time_mask_frames=10), train=True)
            dataset = AvDataset(rows, pictures=transform, **way)
            if name == "sound in babble":
                dataset.noise = NoiseMixer(NoiseConfig(noise_prob=1.0), len(rows), dataset.voice, VOICES)
            print(f"{name:18} {rate(dataset, args.clips):8.0f} frames/s", flush=True)


if __name__ == "__main__":
    main()
