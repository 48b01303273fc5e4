"""Explain what in a recording made a network recognise a word, a character or a class: heat maps over the log-mel, or
over the pictures of the mouth for a lip reader.

One recording (--target word:N or char:N, counted from 1, of a recogniser's text; class:NAME of a classifier):
  fairseq-ext explain checkpoint_last.pt clip.flac --target word:2 --text 'bon dia' --out word.png
A word of a video that a lip reader reads: pictures under the maps, and a film beside them, word.mp4
  fairseq-ext explain checkpoint_last.pt clip.mp4 --target word:2 --method hirescam occlusion --out word.png
The pointing game of a run: does a word's map peak where the word was spoken? Explains every
RUN/train/<partition>/<system>/seed<k>/checkpoint_last.pt into RUN/attribution:
  fairseq-ext explain --run RUN --origin synthetic
The pointing game of one checkpoint:
  fairseq-ext explain --checkpoint C --data MANIFESTS --times TSV --system NAME --out DIR --origin real

The groups of features of an accent encoder: their shares in the fusion, how far embeddings move without each (with
--classifier, a saved one, also what it scores then), and pictures of reconstructions; RUN/attribution is on the page:
  fairseq-ext explain checkpoint_best.pt --data MANIFESTS --out RUN/attribution

Of lip readers --run and --checkpoint count what share of the maps is on the lips, also with shuffled weights.
The game chooses the layer on the development split. Systems that have their table are skipped unless --force is given.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

from ._scored import add_checkpoint_or_run, add_origin, check_checkpoint_or_run, find_trainings

SUMMARY = "Draw what a network listens to or looks at"
ONE_OF = "give one of CHECKPOINT FILE, --run and --checkpoint, or CHECKPOINT with --data"
METHODS = ("hirescam", "gradcam", "occlusion", "integrated_gradients")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "files",
        type=Path,
        nargs="*",
        metavar="CHECKPOINT FILE",
        help="explain one recording; without FILE, the groups of an accent encoder",
    )
    parser.add_argument("--target", help="with FILE: word:N, char:N or class:NAME")
    parser.add_argument(
        "--text", help="with FILE: its transcript, spelled as in training (default: what is recognised)"
    )
    parser.add_argument("--label", default="", help="with class:NAME: the label stream, if there are several")
    parser.add_argument(
        "--classifier", type=Path, metavar="FOLDER", help="of groups: saved classifier of the embeddings"
    )
    add_checkpoint_or_run(parser, partitions="asr", partition="asr")
    add_origin(parser, required=False)
    parser.add_argument(
        "--times", type=Path, nargs="+", default=[], metavar="TSV", help="word times of all splits"
    )
    parser.add_argument("--dev-split", default="valid", help="split that chooses the layer (default: valid)")
    parser.add_argument(
        "--max-utterances", type=int, default=16, help="most of either split, speakers in turn (default: 16)"
    )
    parser.add_argument(
        "--tolerance-s", type=float, default=0.02, help="widens true spans on either side, s (default: 0.02)"
    )
    parser.add_argument(
        "--method",
        nargs="+",
        choices=METHODS,
        default=METHODS[:3],
        help="default: all but the last, slow one",
    )
    parser.add_argument(
        "--layer", nargs="+", default=[], metavar="NAME", help="modules of the encoder to explain"
    )


def run(args: argparse.Namespace) -> int:
    """Explain a recording or play the pointing game."""
    if len(args.files) == 1:
        _explain_groups(args)
    elif args.files:
        _explain_recording(args)
    else:
        _play(args)
    return 0


def _explain_recording(args: argparse.Namespace) -> None:
    if args.run or args.checkpoint:
        raise argparse.ArgumentError(None, ONE_OF)
    if not (len(args.files) == 2 and args.target and args.out):
        raise argparse.ArgumentError(None, "CHECKPOINT FILE needs both, --target and --out")
    from ..inference.explained import explain_recording
    from ..inference.lip_explained import explain_video
    from ..inference.lip_reader import holds_lip_reader

    if holds_lip_reader(args.files[0]):
        if args.layer or args.label:
            raise argparse.ArgumentError(
                None, "--layer and --label are for networks of sound; leave them out"
            )
        video_options: dict[str, Any] = {"text": args.text, "device": args.device, "methods": args.method}
        for line in explain_video(args.files[0], args.files[1], args.target, args.out, **video_options):
            print(line)
        print(f"{args.out}, {args.out.with_suffix('.mp4')}")
        return
    options: dict[str, Any] = {name: getattr(args, name) for name in ("text", "label", "device")}
    checkpoint, recording = args.files
    options |= {"methods": args.method, "layers": args.layer}
    explain_recording(checkpoint, recording, args.target, args.out, **options)
    print(args.out)


def _explain_groups(args: argparse.Namespace) -> None:
    if args.run or args.checkpoint or args.target or not (args.data and args.out):
        raise argparse.ArgumentError(
            None, "CHECKPOINT alone needs --data and --out; with a FILE, --target and --out"
        )
    from ..inference.group_explained import explain_groups

    names = ("split", "label", "classifier", "device")
    options = {name: getattr(args, name) for name in names}
    (checkpoint,) = args.files
    found = explain_groups(checkpoint, args.data, args.out, max_recordings=args.max_utterances, **options)
    for id_, reason in found.skipped:
        print(f"skipped: {id_}: {reason}", file=sys.stderr)
    for name, share in found.shares.items():
        print(f"{name}\tshare {100 * share:.1f} %\tmoves {found.moved[name]:.3f}")
    print(f"{found.num_recordings} recordings, {len(found.skipped)} skipped: {args.out / 'groups.json'}")


def _play(args: argparse.Namespace) -> None:
    if not (args.run or args.checkpoint):
        raise argparse.ArgumentError(None, ONE_OF)
    check_checkpoint_or_run(args)
    if not args.origin:
        raise argparse.ArgumentError(None, "--run and --checkpoint need --origin")
    from tqdm import tqdm

    from ..explain.pointing_game import Settings
    from ..explain.pointing_game_files import Options, explain_all, finished_recognizers

    options = Options(
        game=Settings(methods=tuple(args.method), tolerance_s=args.tolerance_s),
        times=tuple(args.times),
        **{name: getattr(args, name) for name in ("split", "dev_split", "max_utterances", "device")},
    )

    def load(path: str) -> Any:
        from ..inference.explained import load_explained  # fairseq takes seconds to import

        return load_explained(path, args.layer, args.device)

    from ..inference.lip_reader import holds_lip_reader

    jobs = find_trainings(args, partial(finished_recognizers, seed=args.seed))
    lips = [job for job in jobs if holds_lip_reader(job.checkpoint)]
    if lips:
        from ..inference.lip_maps_of_run import explain_lip_readers

        names = ("split", "max_utterances", "device", "force")
        about = {name: getattr(args, name) for name in names}
        for line in explain_lip_readers(lips, args.method, **about):
            tqdm.write(line)
        jobs = [job for job in jobs if job not in lips]
        if not jobs:
            return
    corpus = args.run / "corpus.link" if args.run else None
    for line in explain_all(jobs, load, options, corpus=corpus, force=args.force):
        tqdm.write(line)
