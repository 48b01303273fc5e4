"""Write the manifests of GRID, a folder for each partition of corpora/grid_partitions.py, on prepared clips of mouths.

  fairseq-ext prepare mouth --source GRID --out CLIPS
  fairseq-ext prepare grid --corpus GRID --clips CLIPS --out MANIFESTS

Any speakers, in any depth of folders. Beside a partition NAME of few labels lies NAME.prompts.tsv, for
fairseq-ext label auto --prompts: some of its training sentences, which say how commands are spelled. With --labels, the
folder of fairseq-ext label auto on the same clips, there are also partitions in which a recogniser's texts take the
place of people's, by the filters of fairseq-ext label merge.
What is left out is counted, and listed in OUT/problems.txt.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ._options import add_filters

if TYPE_CHECKING:
    from ..corpora.grid_partitions import AutomaticText
    from ..media.mouth.table import ClipRow

SUMMARY = "Write manifests of GRID, on mouth clips"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--corpus", type=Path, required=True, help="folder of GRID's videos and word times")
    parser.add_argument("--clips", type=Path, required=True, help="folder of fairseq-ext prepare mouth")
    parser.add_argument("--out", type=Path, required=True, help="folder of a manifest folder per partition")
    parser.add_argument("--labels", type=Path, help="folder with labels.tsv (default: people's texts only)")
    parser.add_argument(
        "--align",
        metavar="MODEL",
        help="with --labels: a Whisper for faster-whisper that gives the word times of these texts by aligning the "
        "sound (default: not known)",
    )
    parser.add_argument(
        "--few",
        type=int,
        nargs="*",
        default=[100],
        metavar="N",
        help="numbers of labelled clips of the small training sets (default: 100)",
    )
    add_filters(parser)


def run(args: argparse.Namespace) -> int:
    """Read the corpus and the clips, write every partition, and print their sizes and what was left out."""
    from ..corpora import grid
    from ..corpora.clip_layout import audio_path
    from ..corpora.grid_partitions import Labels, frames_of_clips, partitions, prompt
    from ..corpora.partition_sizes import describe
    from ..corpora.partitions import write
    from ..files import atomic_write
    from ..manifest import Utterance
    from ..media.mouth.table import read_clips
    from ..media.sound import SAMPLE_RATE_HZ

    if args.align and not args.labels:
        raise argparse.ArgumentError(None, "--align gives times to the texts of --labels; give them too")
    problems: list[str] = []
    rows = list(read_clips(args.clips))
    prepared = (Utterance(row.id, audio_path(row.id), row.num_samples, row.num_frames) for row in rows)
    corpus = list(grid.read(args.corpus, on_problem=problems.append))
    clips = list(grid.of_clips(corpus, prepared, on_problem=problems.append))
    times = grid.word_times(args.corpus, on_problem=problems.append)
    frames = frames_of_clips(clips, times, {row.id: row.start_s for row in rows if row.start_s is not None})
    print(
        f"{len(clips)} clips of {len(corpus)} videos, {len(clips) - len(frames)} of them without word times; "
        f"{len(rows) - len(clips)} clips belong to no video, rejected ones: {args.clips / 'rejections.tsv'}"
    )
    labels = Labels(frames, _automatic(args, rows) if args.labels else {})
    with atomic_write(args.out / "problems.txt") as file:
        file.writelines(f"{line}\n" for line in problems)
    few = tuple(f"_{count}" for count in args.few)
    for partition in partitions(clips, labels, few=args.few, note=print):
        write(partition, args.out / partition.name, args.clips)
        if partition.name.endswith(few):
            with atomic_write(args.out / f"{partition.name}.prompts.tsv") as file:
                file.write(f"en\t{prompt(clip.transcript or '' for clip in partition.train)}\n")
        print(describe(partition, SAMPLE_RATE_HZ)[0])
    print(f"{len(problems)} problems ({args.out / 'problems.txt'})")
    return 0


def _automatic(args: argparse.Namespace, rows: "list[ClipRow]") -> "dict[str, AutomaticText]":
    """Read the labels that pass the filters; print how many do, and why others do not."""
    from ..corpora.grid_partitions import AutomaticText
    from ..labelling import filters, merge, table

    limits = filters.FilterSettings(**{name: getattr(args, name) for name in filters.names()})
    labels = list(table.read_labels(table.labels_path(args.labels)))
    merged = merge.merge(rows, labels, {}, merge.MergeSettings(("en",), limits))
    print(
        f"{len(merged.clips)} of {len(rows)} clips have an automatic text; {merged.num_repeated} of these said it more "
        "often than can be spoken, and one copy is kept"
    )
    reasons = Counter[str]()
    for (_, reason), count in merged.rejected.items():
        reasons[reason] += count
    for reason, count in reasons.most_common():
        print(f"  {reason:18} {count:8}  {filters.REASONS.get(reason, '')}")
    texts = {
        clip.utterance.id: AutomaticText(clip.utterance.transcript or "", clip.source)
        for clip in merged.clips
    }
    return _aligned(args, texts) if args.align else texts


def _aligned(args: argparse.Namespace, texts: "dict[str, AutomaticText]") -> "dict[str, AutomaticText]":
    """Give the texts the times of their words, by aligning the sound of the clips."""
    from dataclasses import replace

    from tqdm import tqdm

    from ..corpora.clip_layout import audio_path
    from ..corpora.grid import SpokenWord, words_of_frames
    from ..labelling.faster_whisper import FasterWhisper
    from ..labelling.load import load_engine
    from ..labelling.word_times import align_words
    from ..media.audio import load
    from ..media.mouth.clip import SAMPLES_PER_FRAME
    from ..media.sound import SAMPLE_RATE_HZ

    whisper = load_engine(args.align)
    if not isinstance(whisper, FasterWhisper):
        raise ValueError(f"--align {args.align}: a Whisper for faster-whisper expected; give its folder")
    found = {}
    for name, automatic in tqdm(texts.items(), desc="word times", unit="clip", disable=None):
        waveform, words = (
            load(args.clips / audio_path(name), sample_rate_hz=SAMPLE_RATE_HZ),
            automatic.text.split(),
        )
        times = align_words(whisper, waveform, words, "en")
        spoken = [SpokenWord(word, *time) for word, time in zip(words, times, strict=True)]
        found[name] = replace(automatic, frames=words_of_frames(spoken, len(waveform) // SAMPLES_PER_FRAME))
    return found
