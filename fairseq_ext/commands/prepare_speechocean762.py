"""Write the manifests of speechocean762, a folder for each partition of corpora/speechocean762_partitions.py.

Reads the corpus as published (OpenSLR 101) or a copy of some of it with utterances.tsv. What is skipped, what a speaker
does not state and counts other than the published ones are counted and listed in OUT/problems.txt; OUT/speakers.tsv
names side, gender and age of each speaker.
"""

import argparse
from pathlib import Path

SUMMARY = "Write manifests of speechocean762"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--corpus", type=Path, required=True, help="speechocean762, or the folder above it")
    parser.add_argument("--out", type=Path, required=True, help="folder of a manifest folder per partition")
    parser.add_argument(
        "--minutes",
        type=float,
        nargs="*",
        default=[10],
        help="minutes of labelled speech of the small training sets (default: 10)",
    )
    parser.add_argument(
        "--min-age",
        type=int,
        default=0,
        metavar="YEARS",
        help="leave out younger speakers; half of the published ones are children (default: 0)",
    )
    parser.add_argument(
        "--case", choices=("lower", "upper"), default="lower", help="case of the transcripts (default: lower)"
    )
    parser.add_argument(
        "--keep-shared-sentences", action="store_true", help="train also on sentences of valid and test"
    )
    parser.add_argument(
        "--verification",
        action="store_true",
        help="write the partitions for the verification of speakers instead, without transcripts",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of all draws (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Read the corpus once, write every partition, and print their sizes and what was left out."""
    from tqdm import tqdm

    from ..corpora import speechocean762
    from ..corpora.partition_sizes import describe
    from ..corpora.partitions import write
    from ..corpora.speechocean762_partitions import TUNING_SHARE, VALID_SHARE, partitions, sides, verification
    from ..files import atomic_write
    from ..media.audio import num_samples_at, probe

    rate_hz, problems = speechocean762.SAMPLE_RATE_HZ, list[str]()
    found = speechocean762.read(
        args.corpus,
        measure=lambda path: num_samples_at(probe(path), rate_hz),
        min_age=args.min_age,
        on_problem=problems.append,
    )
    utterances = list(tqdm(found, desc="recordings", unit="recording", disable=None))
    made = partitions(
        utterances,
        minutes=args.minutes,
        seed=args.seed,
        case=args.case,
        keep_shared_sentences=args.keep_shared_sentences,
        note=print,
        problem=problems.append,
    )
    for partition in verification(utterances, seed=args.seed) if args.verification else made:
        write(partition, args.out / partition.name, speechocean762.recordings_folder(args.corpus))
        print("\n".join(describe(partition, rate_hz)))
    share = TUNING_SHARE if args.verification else VALID_SHARE
    ages, side = speechocean762.ages(args.corpus), sides(utterances, seed=args.seed, valid_share=share)
    genders = {u.speaker or "": u.gender or "" for u in utterances}
    with atomic_write(args.out / "speakers.tsv") as file:
        file.write("speaker\tside\tgender\tage\n")
        file.writelines(f"{s}\t{side[s]}\t{genders[s]}\t{ages.get(s, '')}\n" for s in genders)
    with atomic_write(args.out / "problems.txt") as file:
        file.writelines(f"{line}\n" for line in problems)
    print(
        f"{len(utterances)} utterances read, {len(problems)} problems ({args.out / 'problems.txt'}); speakers: "
        f"{args.out / 'speakers.tsv'}"
    )
    return 0
