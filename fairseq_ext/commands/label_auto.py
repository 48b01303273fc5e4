"""Label prepared clips: the language, the text, and how sure the recogniser is.

  fairseq-ext label auto --clips CLIPS --model large-v2 --languages fr,it,es,pt --out LABELS
  fairseq-ext label auto --clips CLIPS --model checkpoint_best.pt --languages fr --out LABELS

--model is a name that faster-whisper downloads, a folder in the format of CTranslate2 or transformers, a .pt of
openai-whisper, or a CTC checkpoint of ours or fairseq (of one language). LABELS/labels.tsv has a row for every clip;
`fairseq-ext label merge` filters them. If it is killed, the same command continues where it was; with --update it
labels clips that were added or cut anew.
"""

import argparse
from pathlib import Path

from ._options import add_check, add_languages

SUMMARY = "Label clips with Whisper or a CTC checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from .. import jobs
    from ..labelling.load import CTC, KINDS

    parser.add_argument("--clips", type=Path, required=True, help="folder with clips.tsv and audio/")
    parser.add_argument("--model", required=True, help="name, folder or file")
    add_languages(parser, "languages to keep")
    parser.add_argument(
        "--no-detect",
        action="store_true",
        help="all clips are in the one language of --languages: none is left out for another",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of labels.tsv")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="label clips whose source in clips.tsv matches, such as 'voxceleb2/*' (default: all)",
    )
    parser.add_argument("--allow-none", action="store_true", help="accept that --only matches no clip")
    parser.add_argument(
        "--keep-damaged",
        action="store_true",
        help="label clips of damaged files too (default: named, no label)",
    )
    parser.add_argument(
        "--kind",
        choices=["auto", *KINDS, CTC],
        default="auto",
        help="package that runs the model (default: found by its files)",
    )
    parser.add_argument(
        "--dictionary", type=Path, help="dict.ltr.txt, for a checkpoint of fairseq that lacks it"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")
    parser.add_argument(
        "--compute-type", default="auto", help="int8, float16, ... (default: int8 on a CPU, float16 on a GPU)"
    )
    parser.add_argument("--batch-size", type=int, default=8, help="windows of 30 s per batch (default: 8)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads per process (default: 1)")
    parser.add_argument(
        "--beam", type=int, default=5, help="hypotheses of the search; 1 is greedy (default: 5)"
    )
    parser.add_argument(
        "--max-tokens", type=int, default=224, help="most tokens of a window's text (default: 224)"
    )
    parser.add_argument(
        "--temperatures",
        default="0,0.2,0.4,0.6,0.8,1",
        help="tried in turn while a text is unlikely or a loop; 0: never sample (default: as openai-whisper)",
    )
    parser.add_argument(
        "--prompts",
        type=Path,
        metavar="TSV",
        help="lines of a language, a tab and two or three typical sentences, whose names, rare words and spelling a "
        "Whisper then follows",
    )
    add_check(parser)
    jobs.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Label, then print what became of the clips."""
    import logging
    from collections import Counter
    from dataclasses import asdict
    from functools import partial
    from typing import Any

    from ..jobs import Execution
    from ..labelling.engine import Decoding
    from ..labelling.label import check_single
    from ..labelling.load import CTC, check_languages, find_kind, load_engine
    from ..labelling.run import Labelling, label_clips
    from ..labelling.second_look import UNSURE
    from ..labelling.table import labels_path, read_labels

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    kind = find_kind(args.model) if args.kind == "auto" else args.kind
    languages, execution = check_languages(args.languages, kind), Execution.from_args(args)
    model = str(Path(args.model).resolve()) if Path(args.model).exists() else args.model
    prompts = _prompts(args.prompts, languages, kind) if args.prompts else ()
    temperatures = tuple(float(text) for text in args.temperatures.split(","))
    decoding = Decoding(
        beam_size=args.beam, max_tokens=args.max_tokens, temperatures=temperatures, prompts=prompts
    )
    if args.no_detect:
        check_single(languages)
    if args.check:
        return 0
    options: dict[str, Any] = {
        "device": args.device, "batch_size": args.batch_size, "num_threads": args.threads
    }  # fmt: skip
    make_engine: partial[Any]
    if kind == CTC:
        from ..inference.ctc_labeller import load_ctc_labeller  # imports fairseq

        options["dictionary"] = args.dictionary and args.dictionary.resolve()
        make_engine = partial(load_ctc_labeller, model, languages, **options)
    else:
        options |= {"compute_type": args.compute_type, "decoding": decoding}
        make_engine = partial(load_engine, model, kind, **options)
    settings = {"model": model, "kind": kind, "compute_type": args.compute_type, **asdict(decoding)}
    labelling = Labelling(
        str(args.clips),
        str(args.out),
        languages,
        args.batch_size,
        settings,
        only=tuple(args.only),
        allow_none=args.allow_none,
        keep_damaged=args.keep_damaged,
        detect=not args.no_detect,
    )
    print(label_clips(labelling, make_engine, execution))
    path = labels_path(args.out)
    if path.is_file():
        states = Counter(label.state for label in read_labels(path))
        print(f"{path}: {', '.join(f'{n} {state}' for state, n in states.most_common())}")
        again = [label for label in read_labels(path) if label.first_look]
        still = sum(label.language_probability < UNSURE for label in again)
        print(
            f"of {len(again)} clips the language was unsure and heard again at other speeds: {still} still unsure"
        )
    return 0


def _prompts(path: Path, languages: tuple[str, ...], kind: str) -> tuple[tuple[str, str], ...]:
    """Return (language, text) of each line of --prompts; raises ValueError for one that would have no effect."""
    from ..file_errors import reading
    from ..labelling.load import CTC

    if kind == CTC:
        raise ValueError("--prompts: for a Whisper only, and --model is a CTC checkpoint; leave it out")
    with reading(path, "a table of prompts"):
        lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for number, line in enumerate(lines, start=1):
        code, _, text = line.partition("\t")
        if code not in languages or not text.strip():
            raise ValueError(
                f"{path}:{number}: a language of --languages {','.join(languages)}, a tab and a text expected, found "
                f"{line!r}; change it"
            )
        found.append((code, text.strip()))
    return tuple(found)
