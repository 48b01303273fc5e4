"""The folder of a synthetic corpus: labelled before anything else is in it, filled through `jobs`, safe to kill.

A writer plans its recordings, calls `claim`, makes what is missing in a `making` block, and writes its tables within
that block. While the block runs, the books of the job lie in the dot folder `.jobs` of the corpus, where no reader
looks; they are removed once the tables are written.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ..files import atomic_write, read_lines
from ..jobs import Execution, Item, Work, one_by_one, outcomes, run
from ..leftovers import is_temporary, remove_leftovers
from .speech import list_languages

__all__ = ["LABEL_FILE", "claim", "describe", "making", "refuse_others"]

LABEL_FILE = "SYNTHETIC.txt"
_JOBS = ".jobs"


def claim(root: Path, about: str, settings: Mapping[str, object], *, part: str = "") -> None:
    """Label a folder as synthetic, or check that its label is of this corpus.

    Args:
        root: folder of the corpus, created when missing.
        about: first line of the label: what is synthetic and what results on it are worth.
        settings: everything that decides the content, as JSON can hold it; the last line of the label.
        part: name of the setting by which several corpora share a root, each in the folder `root / settings[part]`;
            "": the root holds one corpus.

    Raises:
        ValueError: when the folder holds other files, or a corpus with other settings.
        SpeechError: when the package espeakng-loader is missing.
    """
    list_languages()  # raises before anything is written
    label, line, key = root / LABEL_FILE, json.dumps(settings), str(settings.get(part, ""))
    lines = list(read_lines(label)) if label.exists() else []
    known = {str(json.loads(text).get(part, "")): text for text in lines if text.startswith("{")}
    found = known.get(key, known.get(""))
    if found is not None and json.loads(found) != json.loads(line):
        raise ValueError(f"{label}: the settings {line} expected, found {found}; choose another folder")
    if found is not None:
        return
    if (part and (root / key).exists()) or (not known and root.exists() and any(root.iterdir())):
        raise ValueError(
            f"{root}: the folder has files but no {LABEL_FILE} of this corpus; choose another folder"
        )
    with atomic_write(label) as file:
        file.writelines(f"{text}\n" for text in [about, *known.values(), line])


@contextmanager
def making(
    folder: Path,
    names: Sequence[str],
    make: Callable[[str], Mapping[str, Any]],
    *,
    is_there: Callable[[str], bool],
    title: str,
    batch_size: int = 1,
    num_workers: int = 1,
    progress: bool = True,
) -> Iterator[dict[str, Mapping[str, Any]]]:
    """Make the recordings of a corpus that are missing; a killed call is continued by the next one.

    Args:
        folder: folder of the corpus, claimed.
        names: unique names of the recordings to make; none: the block is run without results.
        make: makes the recording of a name; other processes must be able to pickle it.
        is_there: whether the files of a name are there, whole.
        title: title of the progress bar, usable as the name of a folder.
        batch_size: recordings that a worker takes at once; several where each takes milliseconds only, since a
            batch costs some milliseconds itself.
        num_workers: number of processes; 1: works in this process.
        progress: show a progress bar.

    Yields:
        Name -> what `make` returned. Results are forgotten after the block, so write them down within it.

    Raises:
        RuntimeError: when a recording could not be made.
        WorkerError: when no recording can be made, for a full disk, say.
    """

    def make_all(some: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        workers = num_workers if num_workers > 1 else 0
        execution = Execution(workers=workers, update=True, retry_failed=True, progress=progress)
        run(
            job,
            map(Item, some),
            partial(_work, make),
            settings={},
            execution=execution,
            batch_size=batch_size,
        )
        found = list(outcomes(job))
        for outcome in found:
            if outcome.state != "done":
                raise RuntimeError(
                    f"{folder}: {outcome.id} could not be made: {outcome.reason}: {outcome.detail}; "
                    f"{job / 'problems.tsv'} lists all that failed"
                )
        return {outcome.id: outcome.result for outcome in found}

    for scratch in folder.glob(".partial-*"):
        scratch.unlink()  # of a killed call of an earlier version
    remove_leftovers(folder)
    job = folder / _JOBS / title
    results = make_all(names) if names else {}
    # The journal of a killed call still counts files as written that were removed since.
    if lost := [name for name in names if not is_there(name)]:
        shutil.rmtree(job)
        results |= make_all(lost)
    yield results
    shutil.rmtree(folder / _JOBS, ignore_errors=True)


def _work(make: Callable[[str], Mapping[str, Any]]) -> Work:
    return one_by_one(lambda item: make(item.id))


def refuse_others(folder: Path, wanted: Iterable[str], pattern: str = "*") -> None:
    """Raise ValueError when a folder of recordings has other files than those to write: it is then not ours.

    Args:
        folder: the folder.
        wanted: paths of the files to write, relative to it.
        pattern: glob of the paths to look at.
    """
    found = (path for path in folder.glob(pattern) if not is_temporary(path.name))
    others = sorted({path.relative_to(folder).as_posix() for path in found}.difference(wanted))
    if others:
        raise ValueError(
            f"{folder}: {len(others)} files such as {others[0]} are not among the recordings to write; write at least "
            "as many as before, or choose another folder"
        )


def describe(counts: Mapping[str, int], folder: Path) -> str:
    """Say what there is in a corpus now, "5 speakers, 10 clips in data/voxceleb2" for example."""
    return f"{', '.join(f'{count} {name}' for name, count in counts.items())} in {folder}"
