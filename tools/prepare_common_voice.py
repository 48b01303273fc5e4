#!/usr/bin/env python3
"""Manifests of a Common Voice corpus, a folder for each partition of corpora/common_voice_partitions.py.

Clips that were not converted or are damaged are left out, counted, and listed in OUT/problems.txt, and so are, of the
partitions with transcripts, sentences with digits in a language without rules (text/languages.py). What speakers say of
their accent without naming a class is counted in OUT/unmapped_accents.tsv. A language without rules must be that of
the rows' column locale: a mistyped one is refused.
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="cv-corpus-*/LOCALE, or a folder above it")
    parser.add_argument("--out", type=Path, required=True, help="a folder per partition is written below it")
    parser.add_argument("--locale", help="which, where the corpus has several")
    parser.add_argument(
        "--language",
        help="whose rules normalise the transcripts, or keep their letters (default: the locale)",
    )
    parser.add_argument("--case", choices=("lower", "upper"), default="lower", help="of the transcripts")
    parser.add_argument(
        "--audio", type=Path, help="clips/ as converted by prepare_audio.py (default: the mp3)"
    )
    parser.add_argument(
        "--sample-rate-hz", type=int, default=16000, help="lengths count at it (default: 16000)"
    )
    parser.add_argument(
        "--division",
        choices=("official", "drawn"),
        default="official",
        help="who is held out (default: official)",
    )
    parser.add_argument(
        "--minutes", type=float, nargs="*", default=[10, 60], help="of labelled speech, one small set each"
    )
    parser.add_argument(
        "--max-per-speaker", type=int, default=50, help="clips in accent and gender (default: 50)"
    )
    parser.add_argument(
        "--keep-shared-sentences", action="store_true", help="train on sentences of valid and test"
    )
    parser.add_argument("--seed", type=int, default=1, help="of whatever is drawn (default: 1)")
    parser.add_argument(
        "--check", action="store_true", help="look at the options and the language, and write nothing"
    )
    return parser.parse_args()


def prepare(args: argparse.Namespace, problems: list[str]) -> None:
    """Read the corpus once, write every partition, say what was left out."""
    from fairseq_ext.corpora import common_voice
    from fairseq_ext.corpora import common_voice_partitions as cv_partitions
    from fairseq_ext.corpora import common_voice_splits as cv_splits
    from fairseq_ext.corpora.partition_sizes import describe
    from fairseq_ext.corpora.partitions import write
    from fairseq_ext.files import atomic_write
    from fairseq_ext.media.audio import num_samples_at, probe
    from fairseq_ext.text.normalize import dropped

    folder = common_voice.locale_folder(args.corpus, args.locale)
    choices = cv_partitions.Choices(
        language=args.language or folder.resolve().name,
        case=args.case,
        minutes=tuple(args.minutes),
        seed=args.seed,
        sample_rate_hz=args.sample_rate_hz,
        max_per_speaker=args.max_per_speaker,
        keep_shared_sentences=args.keep_shared_sentences,
    )
    official = args.division == "official"
    common_voice.check_lists(folder, ("train", "dev", "test") if official else ("validated",))
    cv_partitions.check_language(choices.language, common_voice.stated_locale(folder), on_note=print)
    if args.check:
        return
    clips = common_voice.read(
        folder,
        on_problem=problems.append,
        sample_rate_hz=args.sample_rate_hz,
        audio=args.audio,
        measure=lambda path: num_samples_at(probe(path), args.sample_rate_hz),
    )
    utterances = list(tqdm(clips, desc="clips", unit="clip"))
    division = cv_splits.official(utterances) if official else cv_splits.drawn(utterances, seed=args.seed)
    root = args.audio or folder / "clips"
    found = cv_partitions.partitions(utterances, division, choices, on_note=print, on_problem=problems.append)
    for partition in found:
        write(partition, args.out / partition.name, root)
        print("\n".join(describe(partition, args.sample_rate_hz)))
    unmapped = common_voice.unmapped_accents(folder).most_common()
    with atomic_write(args.out / "unmapped_accents.tsv") as file:
        file.writelines(f"{count}\t{text}\n" for text, count in unmapped)
    lost = dropped((u.transcript or "" for u in utterances), choices.language)
    print(f"letters and signs without a spelling, left out: {dict(lost.most_common(20)) or 'none'}")
    print(f"accents without a class: {sum(count for _, count in unmapped)} clips, {len(unmapped)} wordings")
    print(f"{len(utterances)} clips read, {len(problems)} problems ({write_problems(args.out, problems)})")


def write_problems(out: Path, problems: list[str]) -> Path:
    """The list of what was left out."""
    from fairseq_ext.files import atomic_write

    with atomic_write(out / "problems.txt") as file:
        file.writelines(f"{line}\n" for line in problems)
    return out / "problems.txt"


def main() -> None:
    """Prepare; what stops it ends in a sentence, with what was left out before."""
    args, problems = parse_args(), list[str]()
    try:
        prepare(args, problems)
    except (ValueError, FileNotFoundError) as error:
        left_out = f"; {len(problems)} problems: {write_problems(args.out, problems)}" if problems else ""
        sys.exit(f"prepare_common_voice.py: {error}{left_out}")


if __name__ == "__main__":
    main()
