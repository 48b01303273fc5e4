#!/usr/bin/env python3
"""Fit linear probes on a checkpoint's frozen embeddings, one for each training manifest, in one start-up.

tools/probe.py --checkpoint C --data published=RUN/manifests/published labels/1=RUN/manifests/labels/1 \\
    --label digit --system simclr_probe --scores RUN/scores --origin real
writes RUN/scores/<partition>/<system>/seed<k>/{predictions.tsv,embeddings.npz,metrics.json} for each PARTITION=DIR.

--control NAME also probes the same network with fresh random weights, as row NAME: what training added.
--centred-too also probes embeddings less the mean of their speaker's, as rows NAME_centred: what a network tells when
many recordings of a speaker, without labels, are there at once.
Rows that have their metrics.json are skipped unless --force is given.
"""

import argparse
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Any


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="pre-trained or trained checkpoint")
    parser.add_argument("--data", nargs="+", required=True, metavar="PARTITION=DIR", help="manifest folders")
    parser.add_argument("--system", required=True, help="name of the system")
    parser.add_argument("--scores", type=Path, required=True, help="folder of all scored systems")
    parser.add_argument("--origin", choices=["real", "synthetic"], required=True, help="of the recordings")
    parser.add_argument("--label", required=True, help="label stream, such as digit")
    parser.add_argument("--seed", type=int, default=1, help="of the checkpoint's training")
    parser.add_argument("--split", default="test", help="split to score")
    over = "what the intervals draw: say speakers where many are tested"
    parser.add_argument(
        "--intervals-over", choices=["recordings", "speakers"], default="recordings", help=over
    )
    parser.add_argument(
        "--views", type=int, default=0, help="distorted copies per training recording (default: 0)"
    )
    parser.add_argument("--control", metavar="NAME", help="also a row NAME: the same network, untrained")
    parser.add_argument("--centred-too", action="store_true", help="also rows less their speakers' means")
    parser.add_argument("--leaky-control", action="store_true", help="allow shared speakers; not a result")
    parser.add_argument("--device", default="cpu", help="torch device")
    parser.add_argument("--force", action="store_true", help="fit again what was fitted")
    return parser.parse_args()


def load(path: str, *, device: str, untrained: bool = False) -> Any:
    from fairseq_ext.checkpoints.load import load_model  # fairseq takes seconds to import

    return load_model(path, device, untrained=untrained)


def score(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from fairseq_ext.scoring.probing import probe_checkpoint
    from fairseq_ext.scoring.scored_system import ScoredSystem

    command = shlex.join(["tools/probe.py", *sys.argv[1:]])
    options = {"label": args.label, "split": args.split, "device": args.device, "force": args.force}
    options |= {"leaky_control": args.leaky_control, "num_views": args.views, "over": args.intervals_over}
    systems = {args.system: partial(load, device=args.device)}
    if args.control:
        systems[args.control] = partial(load, device=args.device, untrained=True)
    folders = [item.partition("=")[::2] for item in args.data]
    for name, loader in systems.items():
        plain, centred = (
            {
                ScoredSystem(row, partition, args.seed, args.origin, command): Path(folder)
                for partition, folder in folders
            }
            for row in (name, f"{name}_centred")
        )
        manifests = {**plain, **centred} if args.centred_too else plain
        for line in probe_checkpoint(
            args.checkpoint, manifests, args.scores, loader, centred=centred, **options
        ):
            tqdm.write(line)


def main() -> None:
    args = parse()
    try:
        score(args)
    except (ValueError, OSError) as error:
        sys.exit(f"probe.py: {error}")


if __name__ == "__main__":
    main()
