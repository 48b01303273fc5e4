"""Embed recordings: a vector for each layer of any encoder, or of features that need no checkpoint.

  fairseq-ext embed --encoder ENCODER --manifest MANIFESTS/all --split test --out EMB
  fairseq-ext embed --encoder ENCODER --folder RECORDINGS --out EMB
  fairseq-ext embed --encoder ENCODER --out EMB a.wav b.mp3

ENCODER is a checkpoint of fairseq (wav2vec 2.0, HuBERT), Microsoft's WavLM or ours, a folder of Hugging Face (those and
Whisper), or logmel, mfcc or prosody. EMB gets embeddings.npz, embeddings.parquet, about.json, and skipped.tsv: id and
reason of recordings that are unreadable, silent or shorter than a frame. Long recordings go through windows. The same
command continues after a kill.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ._recordings import WORKERS, add_recordings, continued, read_recordings, remove_blocks, run_blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..inference.corpus_embedding import AnyEmbedder
    from ..media.recordings import Recordings

SUMMARY = "Embed recordings by any encoder or features"
PRELOAD = ("fairseq_ext.inference.corpus_embedding",)  # what `batch` imports for many of it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from .. import jobs

    add_recordings(parser, "rate that the manifest counts at, Hz (default: the encoder's)")
    parser.add_argument("--encoder", required=True, help="path of an encoder, or logmel, mfcc, prosody")
    parser.add_argument("--out", type=Path, required=True, metavar="EMB", help="folder of the embeddings")
    parser.add_argument(
        "--layers",
        default="all",
        help="all; numbers such as 0,3,6 (0 = input of the first layer); weighted = the sum that a fine-tuned model "
        "reads (default: all)",
    )
    parser.add_argument(
        "--poolings", default="mean,std", help="of mean, max, first, last, std (default: mean,std)"
    )
    parser.add_argument(
        "--pad-s",
        type=float,
        help="silence before and after each clip of Whisper's, s (default: 1)",
    )
    parser.add_argument(
        "--features",
        type=Path,
        metavar="STORE",
        help="read the features of an accent encoder here, a folder of fairseq-ext features voice of the same "
        "recordings, instead of measuring them",
    )
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    parser.add_argument(
        "--sample-rate-hz", type=int, default=16000, help="rate of logmel, mfcc, prosody, Hz (default: 16000)"
    )
    jobs.add_arguments(parser, reruns=False, workers=f"{WORKERS}; GPU, Slurm: 1)")


def run(args: argparse.Namespace) -> int:
    """Embed, and print how many recordings were skipped."""
    from functools import partial

    from ..inference import corpus_embedding as corpus
    from ..media.recordings import blocks

    execution = continued(args, is_cpu=args.device == "cpu")
    make = _maker(args)
    embedder, out = make(), args.out.resolve()
    recordings = read_recordings(args, embedder.sample_rate_hz)
    about = corpus.about_run(embedder, recordings)
    del embedder  # the workers load it; here it only took memory
    if corpus.is_finished(out, about):
        print(f"{args.out}: embedded already")
        return 0
    settings = {key: value for key, value in about.items() if key not in ("versions", "recordings_sha256")}
    work = partial(corpus.embed_work, out, make, args.device)
    outcomes = run_blocks(args, blocks(recordings), corpus.JOBS, work, settings, execution)
    if outcomes is None:
        return 0
    num_skipped = corpus.assemble(out, recordings, outcomes, about)
    remove_blocks(args, corpus.JOBS, execution)
    _report(args.out, recordings, num_skipped)
    return 0


def _maker(args: argparse.Namespace) -> "Callable[[], AnyEmbedder]":
    """Return what loads the embedder, in each process anew."""
    from functools import partial

    from ..inference.embedder import load_embedder
    from ..inference.embedding_sources import FEATURES
    from ..inference.stored_embedder import StoredEmbedder

    encoder = args.encoder if args.encoder in FEATURES else str(Path(args.encoder).resolve())
    if args.features is None:
        options = {"pad_s": args.pad_s, "sample_rate_hz": args.sample_rate_hz}
        return partial(
            load_embedder, encoder, _layers(args.layers), args.poolings.split(","), args.device, **options
        )
    if args.encoder in FEATURES or args.manifest is None or args.layers != "all" or args.pad_s:
        raise argparse.ArgumentError(
            None,
            "--features is for the checkpoint of an accent encoder and --manifest, without --layers and --pad-s",
        )
    return partial(StoredEmbedder, encoder, args.features.resolve(), args.device)


def _layers(text: str) -> str | list[int]:
    if text in ("all", "weighted"):
        return text
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentError(
            None, f"--layers: all, weighted or numbers such as 0,3,6 expected, found {text!r}"
        ) from None


def _report(out: Path, recordings: "Recordings", num_skipped: int) -> None:
    from ..scoring.embedding_files import SKIPPED

    skipped = f"; {num_skipped} skipped: {out / SKIPPED}" if num_skipped else ""
    print(
        f"{len(recordings.rows) - num_skipped} of {len(recordings.rows)} recordings embedded: {out}{skipped}"
    )
