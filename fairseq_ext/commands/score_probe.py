"""Fit linear probes on the frozen embeddings of a checkpoint, one for each training manifest.

  fairseq-ext score probe --checkpoint C --data published=RUN/manifests/published labels/1=RUN/manifests/labels/1 \\
      --label digit --system simclr_probe --scores RUN/scores --origin real
writes RUN/scores/<partition>/<system>/seed<k>/{predictions.tsv,embeddings.npz,metrics.json} for each PARTITION=DIR.

--control NAME also probes the same network with fresh random weights, as system NAME: the difference is what training
added. --centred-too also probes embeddings less the mean of their speaker's, as systems NAME_centred: what a network
can say when many unlabelled recordings of a speaker are at hand.
--layers takes any encoder instead, of fairseq, ours or the folder of a Whisper, and the mean and deviation over time of
each of its layers; each probe reads the layer that is best on its own training speakers, left out one at a time. With
--parts 1,3 it also chooses between the mean of the whole clip and those of three equal parts of it, which keep order;
with --pad-s 0,1 between the clip alone and the clip with 1 s of silence before and after it, of which no frame is
counted: words of half a second are strange to a Whisper, which was trained on padded windows of 30 s.
Systems that have their metrics.json are skipped unless --force is given.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from ._scored import add_intervals_over, add_origin, named_folders

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
    parser.add_argument(
        "--layers",
        type=lambda text: () if text == "all" else whole_numbers(text),
        metavar="all|N,N,...",
        help="probe layers of an encoder, 0 = what enters the first one (default: the embedding of a model of ours)",
    )
    parser.add_argument(
        "--parts",
        type=whole_numbers,
        default=(1,),
        metavar="N,N,...",
        help="with --layers: equal parts of a clip whose means are taken (default: 1)",
    )
    parser.add_argument(
        "--pad-s",
        type=seconds,
        default=(0.0,),
        metavar="S,S,...",
        help="with --layers: silence before and after a clip, s (default: 0)",
    )
    parser.add_argument(
        "--sample-rate-hz",
        type=int,
        metavar="HZ",
        help="sample rate of the manifests, where that of the network is a multiple (default: that of the network)",
    )
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    parser.add_argument("--force", action="store_true", help="fit again what has its metrics.json")


def whole_numbers(text: str) -> tuple[int, ...]:
    """Read whole numbers with commas between them."""
    if not all(part.isascii() and part.isdigit() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"whole numbers such as 0,3,6 expected, found {text!r}")
    return tuple(int(part) for part in text.split(","))


def seconds(text: str) -> tuple[float, ...]:
    """Read durations with commas between them."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(0 <= value < float("inf") for value in found):
        raise argparse.ArgumentTypeError(f"seconds such as 0,0.5,1 expected, found {text!r}")
    return found


def load(
    path: str,
    *,
    device: str,
    untrained: bool = False,
    layers: tuple[int, ...] | None = None,
    parts: tuple[int, ...] = (1,),
    pads_s: tuple[float, ...] = (0.0,),
    seed: int = 1,
) -> Any:
    """Load a network; fairseq, which takes seconds to import, is needed only if there is a probe to fit."""
    from ..checkpoints.load import load_layers, load_model

    if layers is None:
        return load_model(path, device, untrained=untrained)
    return load_layers(path, layers, parts, device, untrained=untrained, seed=seed, pads_s=pads_s)


def run(args: argparse.Namespace) -> int:
    """Fit and score the probes and print a line for each."""
    from tqdm import tqdm

    from ..scoring.probing import probe_checkpoint
    from ..scoring.scored_system import ScoredSystem

    if 0 in args.parts:
        raise argparse.ArgumentError(None, "--parts: 1 or more expected, found 0")
    if args.layers is None and (args.parts, args.pad_s) != ((1,), (0.0,)):
        raise argparse.ArgumentError(
            None, "--parts and --pad-s need --layers, of whose frames they are; give it"
        )
    options = {"label": args.label, "split": args.split, "device": args.device, "force": args.force}
    options |= {"leaky_control": args.leaky_control, "num_views": args.views, "over": args.intervals_over}
    options["manifest_rate_hz"] = args.sample_rate_hz
    given = partial(
        load, device=args.device, layers=args.layers, parts=args.parts, pads_s=args.pad_s, seed=args.seed
    )
    networks = {args.system: given}
    if args.control:
        networks[args.control] = partial(given, untrained=True)
    folders = dict(named_folders(args.data))

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
