"""Write the manifests of a Common Voice corpus, a folder for each partition of corpora/common_voice_partitions.py.

Clips that were not converted or are damaged are dropped, counted, and listed in OUT/problems.txt. So are, in the
partitions with transcripts, sentences with digits in a language without rules (text/languages.py). Descriptions of
accents that belong to no class are counted in OUT/unmapped_accents.tsv. A language without rules must be the one of the
column `locale`: a mistyped one is refused.
"""

import argparse
from pathlib import Path

_MOST_SHOWN = 5  # of the rows that will be skipped, by --check

SUMMARY = "Write manifests of a Common Voice corpus"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--corpus", type=Path, required=True, help="cv-corpus-*/LOCALE, or a folder above it")
    parser.add_argument("--out", type=Path, required=True, help="folder of a manifest folder per partition")
    parser.add_argument("--locale", help="locale to read, where the corpus has several")
    parser.add_argument(
        "--language",
        help="language whose rules normalise the transcripts, or keep their letters (default: the locale)",
    )
    parser.add_argument(
        "--case", choices=("lower", "upper"), default="lower", help="case of the transcripts (default: lower)"
    )
    parser.add_argument(
        "--audio", type=Path, help="clips/ as converted by `fairseq-ext prepare audio` (default: the mp3)"
    )
    parser.add_argument(
        "--sample-rate-hz", type=int, default=16000, help="sample rate of the lengths, Hz (default: 16000)"
    )
    parser.add_argument(
        "--division",
        choices=("official", "drawn"),
        default="official",
        help="who chooses the held-out speakers: the corpus, or a draw with --seed (default: official)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        nargs="*",
        default=[10, 60],
        help="minutes of labelled speech of the small training sets (default: 10 60)",
    )
    parser.add_argument(
        "--max-per-speaker",
        type=int,
        default=50,
        help="most clips per speaker in accent and gender (default: 50)",
    )
    parser.add_argument(
        "--keep-shared-sentences", action="store_true", help="train also on sentences of valid and test"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of all draws (default: 1)")
    parser.add_argument(
        "--check", action="store_true", help="check the options and the language, and write nothing"
    )


def run(args: argparse.Namespace) -> int:
    """Prepare; an error names the problems that were found before it."""
    problems: list[str] = []
    try:
        prepare(args, problems)
    except (ValueError, FileNotFoundError) as error:
        if not problems:
            raise
        written = _write_problems(args.out, problems)
        raise ValueError(f"{error}; {len(problems)} problems: {written}") from error
    return 0


def prepare(args: argparse.Namespace, problems: list[str]) -> None:
    """Read the corpus once, write every partition, and print what was dropped; `problems` gets a line for each clip."""
    from tqdm import tqdm

    from ..corpora import common_voice
    from ..corpora import common_voice_partitions as cv_partitions
    from ..corpora import common_voice_splits as cv_splits
    from ..corpora.partition_sizes import describe
    from ..corpora.partitions import write
    from ..files import atomic_write
    from ..media.audio import num_samples_at, probe
    from ..text.normalize import dropped

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
    needed = ("train", "dev", "test") if official else ("validated",)
    cv_partitions.check_language(choices.language, common_voice.stated_locale(folder), on_note=print)
    skipped = common_voice.check_files(folder, needed, audio=args.audio)
    if args.check:
        if skipped:
            print("\n".join([*skipped[:_MOST_SHOWN], f"{len(skipped)} rows of {folder} will be skipped"]))
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
    print(f"{len(utterances)} clips read, {len(problems)} problems ({_write_problems(args.out, problems)})")


def _write_problems(out: Path, problems: list[str]) -> Path:
    """Write the list of the clips that were dropped."""
    from ..files import atomic_write

    with atomic_write(out / "problems.txt") as file:
        file.writelines(f"{line}\n" for line in problems)
    return out / "problems.txt"
