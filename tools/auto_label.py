#!/usr/bin/env python3
"""Label prepared clips: which language is spoken, what is said, and how sure the recogniser is.

    tools/auto_label.py --clips CLIPS --model large-v2 --languages fr,it,es,pt --out LABELS
    tools/auto_label.py --clips CLIPS --model checkpoint_best.pt --languages fr --out LABELS

--model is a name that faster-whisper downloads, a folder in the format of CTranslate2 or transformers, a .pt of
openai-whisper, or a CTC checkpoint of ours or fairseq (of one language). LABELS/labels.tsv has a row for every clip;
tools/merge_labels.py filters them. May be killed at any moment: the same command again goes on where it was, and with
--update it takes up clips that were added or cut anew.
"""

import argparse
import logging
import sys
from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Command line."""
    from fairseq_ext.jobs import add_arguments
    from fairseq_ext.labelling.load import CTC, KINDS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True, help="folder with clips.tsv and audio/")
    parser.add_argument("--model", required=True, help="name, folder or file")
    parser.add_argument("--languages", default="fr,it,es,pt", help="that are wanted (default: fr,it,es,pt)")
    parser.add_argument("--out", type=Path, required=True, help="folder of labels.tsv")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="label clips whose source (of clips.tsv) matches, such as 'voxceleb2/*' (default: all)",
    )
    parser.add_argument("--allow-none", action="store_true", help="no clip that --only matches is no error")
    parser.add_argument(
        "--kind",
        choices=["auto", *KINDS, CTC],
        default="auto",
        help="what runs it (default: told by its files)",
    )
    parser.add_argument(
        "--dictionary", type=Path, help="dict.ltr.txt, for a fairseq checkpoint that lacks it"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")
    parser.add_argument(
        "--compute-type", default="auto", help="int8, float16, ... (default: int8 on a CPU, float16 on a GPU)"
    )
    parser.add_argument("--batch-size", type=int, default=8, help="windows of 30 s at once (default: 8)")
    parser.add_argument("--threads", type=int, default=1, help="of a CPU, per process (default: 1)")
    parser.add_argument(
        "--beam", type=int, default=5, help="hypotheses of the search, 1: greedy (default: 5)"
    )
    parser.add_argument("--max-tokens", type=int, default=224, help="longest text of a window (default: 224)")
    parser.add_argument(
        "--temperatures",
        default="0,0.2,0.4,0.6,0.8,1",
        help="tried in turn while a text is unlikely or a loop; 0: never sample (default: as openai-whisper)",
    )
    add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Label, then say what became of the clips."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args = parse_args()
    from fairseq_ext.jobs import Execution, WorkerError
    from fairseq_ext.labelling.engine import Decoding
    from fairseq_ext.labelling.load import CTC, find_kind, load_engine
    from fairseq_ext.labelling.run import Labelling, label_clips
    from fairseq_ext.labelling.table import labels_path, read_labels

    languages = tuple(args.languages.split(","))
    try:
        kind = find_kind(args.model) if args.kind == "auto" else args.kind
        model = str(Path(args.model).resolve()) if Path(args.model).exists() else args.model
        temperatures = tuple(float(text) for text in args.temperatures.split(","))
        decoding = Decoding(beam_size=args.beam, max_tokens=args.max_tokens, temperatures=temperatures)
        hardware = {"device": args.device, "batch_size": args.batch_size, "num_threads": args.threads}
        if kind == CTC:
            from fairseq_ext.inference.ctc_labeller import load_ctc_labeller  # imports fairseq

            hardware["dictionary"] = args.dictionary and args.dictionary.resolve()
            make_engine = partial(load_ctc_labeller, model, languages, **hardware)
        else:
            settings = {"compute_type": args.compute_type, "decoding": decoding}
            make_engine = partial(load_engine, model, kind, **settings, **hardware)
        settings = {"model": model, "kind": kind, "compute_type": args.compute_type, **asdict(decoding)}
        folders = (str(args.clips), str(args.out))
        which = {"only": tuple(args.only), "allow_none": args.allow_none}
        wanted = Labelling(*folders, languages, args.batch_size, settings, **which)
        summary = label_clips(wanted, make_engine, Execution.from_args(args))
    except (ValueError, OSError, ImportError, WorkerError) as error:
        sys.exit(f"auto_label.py: {error}")
    print(summary)
    path = labels_path(args.out)
    if path.is_file():
        states = Counter(label.state for label in read_labels(path))
        print(f"{path}: {', '.join(f'{n} {state}' for state, n in states.most_common())}")


if __name__ == "__main__":
    main()
