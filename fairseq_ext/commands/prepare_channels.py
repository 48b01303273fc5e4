"""Write corpora with the same channel, and without speech: is it the accent that a classifier hears, or the microphone?

  fairseq-ext prepare channels --data mandarin=SO762/all north_american=RAVDESS/all --out OUT \\
      --speakers 10 --recordings 8
writes the same recordings four times: OUT/full; OUT/matched, in one band, at -23 LUFS, with one long-term spectrum on
average and over one noise floor; OUT/silence, the stretches of full without speech, 0.3 s or more of each recording;
OUT/silence_matched. Each is a manifest folder with a split test and the label streams accent, the name of the corpus,
and fold, of whole speakers:
  fairseq-ext embed --encoder mfcc --manifest OUT/silence --out EMB
  fairseq-ext score embeddings --embeddings EMB --data silence=OUT/silence --label accent --folds-by fold ...
What is found in the silence is the channel. Recordings that cannot be read or hold too little silence are counted and
listed in OUT/left_out.tsv; OUT/channel.json holds band, equalisers and noise floor. Killed, the same command continues.
"""

import argparse
from pathlib import Path

from ._scored import named_folders

SUMMARY = "Give corpora one channel; keep only the silence"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from .. import jobs

    parser.add_argument(
        "--data", nargs="+", required=True, metavar="NAME=DIR", help="manifest folders; NAME is the accent"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the sets")
    parser.add_argument(
        "--speakers", type=int, default=0, help="speakers to draw of each corpus (default: 0 = all)"
    )
    parser.add_argument(
        "--recordings", type=int, default=0, help="recordings to draw of each speaker (default: 0 = all)"
    )
    parser.add_argument(
        "--sample-rate-hz",
        type=int,
        default=16000,
        help="rate of the copies, at which the manifests count, Hz (default: 16000)",
    )
    parser.add_argument(
        "--floor-quantile",
        type=float,
        default=0.9,
        metavar="SHARE",
        help="share of the recordings of the noisiest corpus below the common floor (default: 0.9)",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of draws, folds and noise (default: 1)")
    jobs.add_arguments(parser, reruns=False)


def run(args: argparse.Namespace) -> int:
    """Draw, measure, write, and print what became of the recordings."""
    folders = dict(named_folders(args.data))
    if len(folders) < 2 or len(folders) < len(args.data):
        raise argparse.ArgumentError(None, "--data: two or more NAME=DIR with different names expected")
    for name, value in (("--speakers", args.speakers), ("--recordings", args.recordings)):
        if value < 0:
            raise argparse.ArgumentError(None, f"{name}: 0 or more expected, found {value}")
    if not 0 <= args.floor_quantile <= 1:
        raise argparse.ArgumentError(
            None, f"--floor-quantile: 0 to 1 expected, found {args.floor_quantile:g}"
        )
    from ..features.channel_control import draw, write
    from ..jobs import Execution

    rate_hz = args.sample_rate_hz
    drawn = draw(
        folders, num_speakers=args.speakers, num_recordings=args.recordings, seed=args.seed, rate_hz=rate_hz
    )
    found = write(
        drawn,
        args.out,
        rate_hz=rate_hz,
        seed=args.seed,
        floor_quantile=args.floor_quantile,
        execution=Execution.from_args(args),
    )
    if found is None:
        print("the last shard to finish writes the manifests")
        return 0
    low, high = found.about["band_hz"]
    print(f"band {low:.0f} to {high:.0f} Hz; noise added, median: " + _levels(found.about["median_noise_db"]))
    for name, counts in found.sizes.items():
        print(f"{args.out / name}: " + ", ".join(f"{corpus} {number}" for corpus, number in counts.items()))
    clipped = found.about["num_clipped_samples"]
    print(f"{len(found.left_out)} recordings left out of some sets ({args.out / 'left_out.tsv'})")
    if clipped:
        print(f"{clipped} samples clipped at full scale")
    return 0


def _levels(levels_db: dict[str, float]) -> str:
    return ", ".join(f"{corpus} {level:.0f} dB" for corpus, level in levels_db.items())
