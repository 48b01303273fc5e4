"""Score recognisers: write predictions.<decoder>.tsv and metrics.json with WER and CER for each checkpoint.

One checkpoint:
  fairseq-ext score recognition --checkpoint C --data MANIFESTS --system NAME --out DIR --origin real
A whole run, every RUN/train/<partition>/<system>/seed<k>/checkpoint_last.pt with RUN/manifests/<partition>,
into RUN/scores/<partition>/<system>/seed<k>:
  fairseq-ext score recognition --run RUN --partitions 'labels/*' --origin real [--lm ARPA]

Decodes greedily and, with --lm, by beam search, whose weights (alpha, beta, unk_score, and prior_scale if asked) are
chosen on the development split. With --run the weights are also kept beside the checkpoint, in lm_weights.json, where
`fairseq-ext transcribe` finds them. Systems that have their metrics.json are skipped unless --force is given, or
split, language or what concerns the language model differ from what they were scored with.

Lip readers (ext_av_ctc_attention, on manifests of mouth clips) are scored in visemes too, the classes of sounds that
lips tell apart, and with --joint by a search with their attention decoder. confusions.<decoder>.<unit>.csv counts which
viseme, and of small vocabularies which word, was taken for which.

--noise-snr-db 10 0 -5 scores all that hears sound again with babble in it: 30 other clips of the split at once, drawn
by the number of the row, so that every system hears the same. What reads lips alone is scored once.

References are the texts of SPLIT.wrd, as training reads them. Hypotheses are spelled as MANIFESTS/spelling.json says.
"""

import argparse
import math
from functools import partial
from pathlib import Path
from typing import Any

from ._scored import add_checkpoint_or_run, add_origin, check_checkpoint_or_run, find_trainings

SUMMARY = "Score recognisers: WER, CER, language models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_checkpoint_or_run(parser)
    add_origin(parser)
    parser.add_argument(
        "--dev-split", default="valid", help="split on which the weights of --lm are chosen (default: valid)"
    )
    parser.add_argument(
        "--language",
        default="",
        help="language of manifests without spelling.json; another than that of the record is refused (default: the "
        "record's, or the sidecar's)",
    )
    parser.add_argument(
        "--lm", type=Path, metavar="ARPA", help="n-gram language model, also .gz, .bz2 or .xz"
    )
    parser.add_argument(
        "--beam", type=int, default=32, help="hypotheses of the beam search, with --lm (default: 32)"
    )
    parser.add_argument(
        "--joint",
        type=int,
        metavar="BEAM",
        help="decode lip readers also by CTC and attention together, with so many hypotheses",
    )
    parser.add_argument(
        "--ctc-weight",
        type=float,
        default=0.1,
        help="share of CTC beside attention, with --joint (default: 0.1)",
    )
    parser.add_argument(
        "--length-bonus", type=float, default=0.0, help="score per token, with --joint (default: 0)"
    )
    weights: dict[str, Any] = {"type": float, "nargs": "+", "metavar": "X"}
    parser.add_argument("--alphas", **weights, help="weights of the language model to try")
    parser.add_argument("--betas", **weights, help="rewards per word to try")
    parser.add_argument("--unk-scores", **weights, help="log-scores per unknown word to try, 0 or less")
    parser.add_argument(
        "--prior-scales",
        **weights,
        help="powers of the symbols' prior to try, 0 to 1, by which the network's probabilities are divided; helps "
        "networks that were trained on minutes (default: 0, not divided)",
    )
    parser.add_argument(
        "--max-dev", type=int, default=300, help="most utterances that choose the weights (default: 300)"
    )
    parser.add_argument(
        "--noise-snr-db",
        type=float,
        nargs="+",
        default=[],
        metavar="DB",
        help="score also with babble in the sound, at these ratios of speech to noise, dB",
    )
    parser.add_argument("--batch-size", type=int, default=16, help="recordings per batch (default: 16)")


def load(path: str, device: str) -> Any:
    """Load a recogniser; fairseq, which takes seconds to import, is needed only if there is one to score."""
    from ..checkpoints.devices import check_device
    from ..inference.lip_reader import is_lip_reader, load_lip_reader
    from ..inference.recognizer import load_recognizer
    from ..modules.checkpoint_file import read_checkpoint

    check_device(device)
    state = read_checkpoint(path)
    kind = load_lip_reader if is_lip_reader(state) else load_recognizer
    return kind(path, device, state=state)


def run(args: argparse.Namespace) -> int:
    """Score the checkpoints and print a line for each."""
    names = ("alphas", "betas", "unk_scores", "prior_scales")
    check_checkpoint_or_run(args)
    if not args.lm and any(getattr(args, name) for name in names):
        raise argparse.ArgumentError(
            None, "--alphas, --betas, --unk-scores and --prior-scales weigh a language model; give --lm too"
        )
    if not all(map(math.isfinite, args.noise_snr_db)):
        raise argparse.ArgumentError(
            None, f"--noise-snr-db: finite numbers of dB expected, found {args.noise_snr_db}"
        )
    from tqdm import tqdm

    from ..decoding.joint import JointConfig
    from ..decoding.tuning import Grid
    from ..scoring.recognition.decoders import read_language_model
    from ..scoring.recognition.evaluation import Options, recognise_all

    jobs = find_trainings(args)
    if not jobs:
        print("no finished training found, so nothing is scored")
    grid = Grid(**{name: getattr(args, name) for name in names if getattr(args, name)})
    lm = read_language_model(args.lm, beam_size=args.beam, grid=grid) if args.lm else None
    named = ("split", "dev_split", "language", "max_dev", "batch_size", "device")
    joint = None
    if args.joint:
        joint = JointConfig(args.joint, ctc_weight=args.ctc_weight, length_bonus=args.length_bonus)
    options = Options(
        lm=lm,
        joint=joint,
        keep_weights=bool(args.run),
        noise_snr_db=tuple(args.noise_snr_db),
        **{name: getattr(args, name) for name in named},
    )
    for line in recognise_all(jobs, partial(load, device=args.device), options, force=args.force):
        tqdm.write(line)
    return 0
