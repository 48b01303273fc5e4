#!/usr/bin/env python3
"""What in a recording made a network say a word, a character or a class: maps over the log-mel.

One recording:   tools/attribute.py checkpoint_last.pt clip.flac --target word:2 --text 'bon dia' --out word.png
                 --target word:N | char:N (from 1) of a recogniser, in --text or in what it hears | class:NAME of a
                 classifier ext_speech_classifier
The pointing game, does a word's map peak where the word was spoken:
  of a run:      tools/attribute.py --run RUN --origin synthetic
                 every RUN/train/<partition>/<system>/seed<k>/checkpoint_last.pt, into RUN/attribution
  of one:        tools/attribute.py --checkpoint C --data MANIFESTS --times TSV --system NAME --out DIR --origin real
  The layer is chosen on the development split. Rows that have their table are skipped unless --force is given.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "files", type=Path, nargs="*", metavar="CHECKPOINT FILE", help="explain one recording"
    )
    parser.add_argument("--target", help="with FILE: word:N, char:N or class:NAME")
    parser.add_argument(
        "--text", help="with FILE: what is said, spelled as in training (default: what is heard)"
    )
    parser.add_argument("--label", default="", help="with class:NAME: the label stream, of several")
    parser.add_argument("--run", type=Path, help="a run folder: play the game with its recognisers")
    parser.add_argument("--checkpoint", type=Path, help="play the game with one recogniser")
    parser.add_argument(
        "--partitions", nargs="+", default=["asr"], metavar="PATTERN", help="with --run: which"
    )
    parser.add_argument("--data", type=Path, help="manifest folder (with --checkpoint)")
    parser.add_argument("--system", help="name of the system (with --checkpoint)")
    parser.add_argument(
        "--partition", default="asr", help="trained on and tested on whom (with --checkpoint)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the training, or with --run the one taken"
    )
    parser.add_argument("--origin", choices=["real", "synthetic"], help="of the recordings")
    parser.add_argument(
        "--times", type=Path, nargs="+", default=[], metavar="TSV", help="word times, of all splits"
    )
    parser.add_argument("--split", default="test", help="split to score")
    parser.add_argument("--dev-split", default="valid", help="split that chooses the layer")
    parser.add_argument("--max-utterances", type=int, default=16, help="of either split, speakers in turn")
    parser.add_argument("--tolerance-s", type=float, default=0.02, help="widens true spans at either side, s")
    methods = ("hirescam", "gradcam", "occlusion", "integrated_gradients")
    parser.add_argument(
        "--method", nargs="+", choices=methods, default=methods[:3], help="default: all but the slow last"
    )
    parser.add_argument(
        "--layer", nargs="+", default=[], metavar="NAME", help="modules of the encoder to look at"
    )
    parser.add_argument("--out", type=Path, help="the picture; with --checkpoint: folder of the result")
    parser.add_argument("--device", default="cpu", help="torch device")
    parser.add_argument("--force", action="store_true", help="explain again what was explained")
    args = parser.parse_args()
    if sum([bool(args.files), bool(args.run), bool(args.checkpoint)]) != 1:
        parser.error("CHECKPOINT FILE, --run or --checkpoint expected, one of them")
    if args.files and not (len(args.files) == 2 and args.target and args.out):
        parser.error("CHECKPOINT FILE needs both, --target and --out")
    if not args.files and not args.origin:
        parser.error("--run and --checkpoint need --origin")
    if args.checkpoint and not (args.data and args.system and args.out):
        parser.error("--checkpoint needs --data, --system and --out")
    return args


def explain_one(args: argparse.Namespace) -> None:
    from fairseq_ext.inference.explained import explain_recording  # fairseq takes seconds to import

    named = ("text", "label", "device")
    options: dict[str, Any] = {name: getattr(args, name) for name in named}
    explain_recording(*args.files, args.target, args.out, methods=args.method, layers=args.layer, **options)
    print(args.out)


def play(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from fairseq_ext.explain.pointing_game import Settings
    from fairseq_ext.explain.pointing_game_files import Options, explain_all, finished_recognizers
    from fairseq_ext.scoring.scored_system import ScoredSystem
    from fairseq_ext.scoring.trainings import FinishedTraining, check_partitions

    command = shlex.join(["tools/attribute.py", *sys.argv[1:]])
    if args.run:
        check_partitions(args.run, args.partitions)
        jobs = finished_recognizers(args.run, args.origin, command, args.partitions, seed=args.seed)
    else:
        system = ScoredSystem(args.system, args.partition, args.seed, args.origin, command)
        jobs = [FinishedTraining(args.checkpoint, args.data, system, args.out)]
    options = Options(
        game=Settings(methods=tuple(args.method), tolerance_s=args.tolerance_s),
        times=tuple(args.times),
        **{name: getattr(args, name) for name in ("split", "dev_split", "max_utterances", "device")},
    )

    def load(path: str) -> Any:
        from fairseq_ext.inference.explained import load_explained

        return load_explained(path, args.layer, args.device)

    corpus = args.run / "corpus.link" if args.run else None
    for line in explain_all(jobs, load, options, corpus=corpus, force=args.force):
        tqdm.write(line)


def main() -> None:
    args = parse()
    try:
        explain_one(args) if args.files else play(args)
    except (ValueError, OSError) as error:
        sys.exit(f"attribute.py: {error}")


if __name__ == "__main__":
    main()
