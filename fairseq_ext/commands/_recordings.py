"""Options that name recordings, of a manifest, a folder or one by one, and how work on all of them is run."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..jobs import Execution, Item, Outcome, Work
    from ..media.recordings import Recordings

WORKERS = "processes of one thread each (default: one per core"


def add_recordings(parser: argparse.ArgumentParser, rate_help: str) -> None:
    """Add the options; `rate_help` is that of --manifest-rate-hz."""
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help="recordings of any format")
    parser.add_argument("--manifest", type=Path, help="folder of SPLIT.tsv, with labels, instead of files")
    parser.add_argument("--split", default="test", help="with --manifest (default: test)")
    parser.add_argument("--folder", type=Path, help="folder of recordings, and those below, instead of files")
    parser.add_argument("--manifest-rate-hz", type=int, help=rate_help)


def read_recordings(args: argparse.Namespace, rate_hz: int) -> "Recordings":
    """List the recordings, to be read at a sample rate; files that are none are named in OUT/passed_over.tsv."""
    from ..files import write_reasons
    from ..media import recordings

    given = [bool(args.files), args.manifest is not None, args.folder is not None]
    if sum(given) != 1:
        raise argparse.ArgumentError(None, "give one of FILE, --manifest and --folder")
    if args.manifest is not None:
        return recordings.of_manifest(args.manifest.resolve(), args.split, rate_hz, args.manifest_rate_hz)
    if args.folder is None:
        return recordings.of_files(args.files)
    if not args.folder.is_dir():
        raise ValueError(f"{args.folder}: no such folder; check the path")
    found = recordings.of_folder(args.folder)
    if found.passed_over:
        write_reasons(args.out / "passed_over.tsv", found.passed_over)
        print(f"{len(found.passed_over)} files are no recordings: {args.out / 'passed_over.tsv'}")
    return found


def run_blocks(
    args: argparse.Namespace,
    blocks: "Iterable[Item]",
    jobs_name: str,
    make_work: "Callable[[], Work]",
    settings: "Mapping[str, Any]",
    execution: "Execution",
) -> "list[Outcome] | None":
    """Compute blocks of recordings below --out; return what became of each, None where other shards still run.

    Args:
        jobs_name: folder of the jobs, below --out.
        make_work: makes the work of one process; see `jobs.run`, also for `settings`.
    """
    from functools import partial

    from .. import jobs
    from ..media.recording_blocks import has_part

    out = args.out.resolve()
    summary = jobs.run(
        out / jobs_name,
        blocks,
        make_work,
        settings=settings,
        execution=execution,
        output_exists=partial(has_part, out),
    )
    if summary.complete:
        return list(jobs.outcomes(out / jobs_name))
    print(f"{summary}; the last shard to finish writes {args.out}")
    return None


def remove_blocks(args: argparse.Namespace, jobs_name: str, execution: "Execution") -> None:
    """Remove the files of the blocks, unless other shards may still read them."""
    from ..media.recording_blocks import remove_parts

    if execution.shards == 1 or execution.executor == "slurm":
        remove_parts(args.out.resolve(), jobs_name)


def continued(args: argparse.Namespace, *, is_cpu: bool = True) -> "Execution":
    """Return where to run; a block that has failed is always tried again, and the recordings may have changed."""
    import os
    from dataclasses import replace

    from .. import jobs

    if args.workers is None:
        args.workers = len(os.sched_getaffinity(0)) if is_cpu and args.executor == "local" else 1
    return replace(jobs.Execution.from_args(args), update=args.shards == 1, retry_failed=True)
