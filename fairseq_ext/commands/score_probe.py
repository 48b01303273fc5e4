"""Fit linear probes on the frozen embeddings of a checkpoint, one for each training manifest.

  fairseq-ext score probe --checkpoint C --data published=RUN/manifests/published labels/1=RUN/manifests/labels/1 \\
      --label digit --system simclr_probe --scores RUN/scores --origin real
writes RUN/scores/<partition>/<system>/seed<k>/{predictions.tsv,embeddings.npz,metrics.json} for each PARTITION=DIR.

--control NAME also probes the same network with fresh random weights, as system NAME: the difference is what training
added. --centred-too also probes embeddings less the mean of their speaker's, as systems NAME_centred: what a network
can say when many unlabelled recordings of a speaker are at hand.
Systems that have their metrics.json are skipped unless --force is given.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from ._scored import add_intervals_over, add_origin

SUMMARY = "Fit and score linear probes on embeddings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--checkpoint", type=Path, required=True, help="pre-trained or trained checkpoint")
    parser.add_argument("--data", nargs="+", required=True, metavar="PARTITION=DIR", help="manifest folders")
    parser.add_argument("--system", required=True, help="name of the system")
    parser.add_argument("--scores", type=Path, required=True, help="folder of all scored systems")
    add_origin(parser)
    parser.add_argument("--label", required=True, help="label stream, such as digit")
    parser.add_argument("--seed", type=int, default=1, help="seed of the checkpoint's training (default: 1)")
    parser.add_argument("--split", default="test", help="split to score (default: test)")
    add_intervals_over(parser)
    parser.add_argument(
        "--views", type=int, default=0, help="augmented copies per training recording (default: 0)"
    )
    parser.add_argument("--control", metavar="NAME", help="also probe the untrained network, as system NAME")
    parser.add_argument(
        "--centred-too", action="store_true", help="also probe embeddings less their speakers' means"
    )
    parser.add_argument(
        "--leaky-control", action="store_true", help="allow speakers in both splits; not a result"
    )
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    parser.add_argument("--force", action="store_true", help="fit again what has its metrics.json")


def load(path: str, *, device: str, untrained: bool = False) -> Any:
    """Load a network; fairseq, which takes seconds to import, is needed only if there is a probe to fit."""
    from ..checkpoints.load import load_model

    return load_model(path, device, untrained=untrained)


def run(args: argparse.Namespace) -> int:
    """Fit and score the probes and print a line for each."""
    from tqdm import tqdm

    from ..scoring.probing import probe_checkpoint
    from ..scoring.scored_system import ScoredSystem

    options = {"label": args.label, "split": args.split, "device": args.device, "force": args.force}
    options |= {"leaky_control": args.leaky_control, "num_views": args.views, "over": args.intervals_over}
    networks = {args.system: partial(load, device=args.device)}
    if args.control:
        networks[args.control] = partial(load, device=args.device, untrained=True)
    folders = {
        partition: Path(folder) for partition, _, folder in (text.partition("=") for text in args.data)
    }

    def manifests(name: str) -> dict[ScoredSystem, Path]:
        return {
            ScoredSystem(name, partition, args.seed, args.origin, args.command_line): folder
            for partition, folder in folders.items()
        }

    for name, loader in networks.items():
        centred = manifests(f"{name}_centred") if args.centred_too else {}
        wanted = manifests(name) | centred
        for line in probe_checkpoint(
            args.checkpoint, wanted, args.scores, loader, centred=centred, **options
        ):
            tqdm.write(line)
    return 0
