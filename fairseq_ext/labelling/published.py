"""What corpora and earlier manifests say of clips: transcripts by people, splits, speakers."""

import importlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..manifest import Utterance, read_manifest

CORPORA = ("mtedx", "voxceleb2", "avspeech")
# The splits of the others divide speakers or faces for other tasks; all of their clips may train a lip reader.
_TRANSCRIBED = ("mtedx",)
_SIDES = ("train", "valid", "test")


def read(
    corpora: Iterable[str],
    manifests: Iterable[str | os.PathLike[str]],
    *,
    on_problem: Callable[[str], None] | None = None,
) -> dict[str, Utterance]:
    """Reads all of it.

    Args:
        corpora: `NAME=FOLDER`, names of `CORPORA`, folders as published.
        manifests: folders of {train,valid,test}.tsv, or of folders of them; ids are those of clips.
        on_problem: receives what the readers of corpora report.

    Returns:
        Clip's id -> what is said of it. Where several speak of a clip the last one counts: manifests after corpora.

    Raises:
        ValueError: for an unknown corpus, a folder without manifests, or an id on two sides.
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
                    f"{folder}: {utterance.id} in one split expected, found it in {first.split} and "
                    f"{utterance.split}; write the manifests again"
                )
        found |= own
    return found


def check_given(sources: Iterable[str], corpora: Iterable[str]) -> None:
    """Makes sure that the splits of every transcribed corpus are known, lest its held-out talks train.

    Args:
        sources: of clips, as `prepare_mouth.py --corpus all` writes them: the corpus's name, then the path.
        corpora: `NAME=FOLDER`, as for `read`.

    Raises:
        ValueError: for clips of a transcribed corpus that is not given.
    """
    unknown = set(_TRANSCRIBED) - {text.partition("=")[0] for text in corpora}
    for source in sources:
        if (name := source.partition("/")[0]) in unknown:
            raise ValueError(
                f"clip of {source}: --corpus {name}=FOLDER expected, found none; without it nobody knows which talks "
                "are held out"
            )


def _corpus(text: str, on_problem: Callable[[str], None] | None) -> Iterator[Utterance]:
    name, _, folder = text.partition("=")
    if name not in CORPORA or not folder:
        raise ValueError(f"corpus {text!r}: NAME=FOLDER with a name of {CORPORA} expected; change the option")
    reader = importlib.import_module(f"..corpora.{name}", __package__)
    utterance: Utterance
    for utterance in reader.read(folder, on_problem=on_problem):
        yield utterance if name in _TRANSCRIBED else replace(utterance, split="train")


def _manifests(folder: Path) -> Iterator[Utterance]:
    paths = sorted({path for side in _SIDES for path in folder.glob(f"**/{side}.tsv")})
    if not paths:
        raise ValueError(
            f"{folder}: manifests {_SIDES} expected, found none; pass the folder that holds them"
        )
    for path in paths:
        for utterance in read_manifest(path.parent, path.stem):
            yield replace(utterance, split=path.stem)
