"""Read the transcripts, splits and speakers of clips that corpora publish or that earlier manifests hold."""

import importlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..manifest import SPLITS, Utterance, read_manifest

CORPORA = ("mtedx", "voxceleb2", "avspeech")
# The other corpora split their speakers for other tasks, so all of their clips may be in train.
_TRANSCRIBED = ("mtedx",)


def read_published(
    corpora: Iterable[str],
    manifests: Iterable[str | os.PathLike[str]],
    *,
    on_problem: Callable[[str], None] | None = None,
) -> dict[str, Utterance]:
    """Read transcripts, splits and speakers: id of a clip -> its record.

    Of several records of a clip the last one counts, manifests after corpora.

    Args:
        corpora: `NAME=FOLDER`, names of `CORPORA`, folders in the published layout.
        manifests: folders of {train,valid,test}.tsv, or of folders of them; their ids are ids of clips.
        on_problem: called with each problem that a corpus reader reports.

    Raises:
        ValueError: for an unknown corpus, a folder without manifests, or an id in two splits.
    """
    found: dict[str, Utterance] = {}
    for text in corpora:
        found |= {u.id: u for u in _corpus(text, on_problem)}
    for folder in manifests:
        own: dict[str, Utterance] = {}
        for utterance in _manifests(Path(folder)):
            first = own.setdefault(utterance.id, utterance)
            if first.split != utterance.split:
                raise ValueError(
                    f"{folder}: {utterance.id} is in two splits, {first.split} and {utterance.split}; write the "
                    "manifests again"
                )
        found |= own
    return found


def check_splits_known(sources: Iterable[str], corpora: Iterable[str]) -> None:
    """Check that the splits of every transcribed corpus are known; else its test talks could end up in train.

    Sources of clips are as `fairseq-ext prepare mouth --corpus all` writes them, corpus name, then path; corpora are
    `NAME=FOLDER`.

    Raises:
        ValueError: when there are clips of a transcribed corpus whose folder is not given.
    """
    unknown = set(_TRANSCRIBED) - {text.partition("=")[0] for text in corpora}
    for source in sources:
        if (name := source.partition("/")[0]) in unknown:
            raise ValueError(
                f"clip of {source}: the talks of valid and test are unknown; give the corpus with --corpus "
                f"{name}=FOLDER"
            )


def _corpus(text: str, on_problem: Callable[[str], None] | None) -> Iterator[Utterance]:
    name, _, folder = text.partition("=")
    if name not in CORPORA or not folder:
        raise ValueError(f"corpus {text!r} is not NAME=FOLDER with a name of {CORPORA}; change the option")
    reader = importlib.import_module(f"..corpora.{name}", __package__)
    utterance: Utterance
    for utterance in reader.read(folder, on_problem=on_problem):
        yield utterance if name in _TRANSCRIBED else replace(utterance, split="train")


def _manifests(folder: Path) -> Iterator[Utterance]:
    paths = sorted({path for split in SPLITS for path in folder.glob(f"**/{split}.tsv")})
    if not paths:
        raise ValueError(f"{folder}: there are no manifests {SPLITS}; give the folder that holds them")
    for path in paths:
        for utterance in read_manifest(path.parent, path.stem):
            yield replace(utterance, split=path.stem)
