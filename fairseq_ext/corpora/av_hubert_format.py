"""Manifests of AV-HuBERT and MuAViC, from and to ours; after the formats that their instructions describe.

`{split}.tsv`: line 1 the root, `/`; then `id<TAB>video path<TAB>audio path<TAB>video frames<TAB>audio samples` (25
frames/s, 16 kHz). `{split}.wrd`: one transcript per row. `dict.wrd.txt`: a fairseq dictionary of the units to write,
SentencePiece pieces, or words where there is no such model.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path

from ..dictionary import write_dictionary
from ..files import atomic_write, read_lines, split_row
from ..manifest import SPLITS, Utterance, read_labels, read_manifest, read_root
from ..text.units import SentencePieces, count_units
from .clip_layout import video_path

TEXT = "wrd"
_NUM_SHOWN = 8  # names in a message
# In place of these folders and suffixes the video's path has those of the sound.
_SOUND, _VIDEO = ("audio", ".wav"), ("video", ".mp4")


def find_splits(folder: str | os.PathLike[str], wanted: Sequence[str] = ()) -> list[str]:
    """Return the splits to read, ours or AV-HuBERT's: those wanted, or train, valid and test as far as they are there.

    Raises:
        ValueError: saying which are there, or in which folders below.
    """
    names = sorted(path.name for path in Path(folder).glob("*.tsv"))
    there = [name.removesuffix(".tsv") for name in names if not name.endswith(".meta.tsv")]
    found = list(wanted) or [split for split in SPLITS if split in there]
    missing = [split for split in found or SPLITS if split not in there]
    if found and not missing:
        return found
    below = sorted({path.parent.name for path in Path(folder).glob("*/*.tsv")})
    advice = "give one of these" if there else "give the folder that holds the manifests"
    if below and not there:
        advice = f"give one of the folders in it, {', '.join(below[:_NUM_SHOWN])}"
    raise ValueError(
        f"{folder}: there is no {(' and no ' if wanted else ' or ').join(f'{split}.tsv' for split in missing)}"
        f"{', only ' * bool(there)}{', '.join(there[:_NUM_SHOWN])}; {advice}"
    )


def transcribed(manifest: str | os.PathLike[str], split: str) -> Iterator[tuple[Utterance, str]]:
    """Stream prepared clips with their line of `{split}.wrd`, or their transcript where there is no such file.

    Raises:
        ValueError: for one that is no prepared clip or has no text, and for files of different lengths.
    """
    utterances = read_manifest(manifest, split)
    path = Path(manifest) / f"{split}.{TEXT}"
    texts: Iterable[str | None] = read_labels(manifest, split, TEXT) if path.exists() else ()
    has_texts = path.exists()
    for number, (utterance, text) in enumerate(zip_longest(utterances, texts), 1):
        if utterance is None or (has_texts and text is None):
            raise ValueError(f"{path}:{number}: not as many rows as in {split}.tsv; write both again")
        text = text if has_texts else utterance.transcript
        if not text or not utterance.num_frames or utterance.start_s is not None:
            raise ValueError(
                f"{Path(manifest) / split}.tsv:{number + 1}: {utterance.id!r} is no whole clip with a text: it has "
                f"{utterance.num_frames} frames and text {text!r}; prepare clips and labels first"
            )
        yield utterance, text


def export(
    manifest: str | os.PathLike[str],
    split: str,
    out: str | os.PathLike[str],
) -> int:
    """Write `{split}.tsv` and `{split}.wrd` of AV-HuBERT from our manifest of prepared clips (`clip_layout`).

    Raises:
        ValueError: as for `transcribed`; no file is changed then.
    """
    if Path(out).resolve() == Path(manifest).resolve():
        raise ValueError(
            f"{out}: this is the folder of the manifests, which would be overwritten; choose another"
        )
    root = read_root(manifest, split)
    num_rows = 0
    with ExitStack() as stack:
        tsv = stack.enter_context(atomic_write(Path(out) / f"{split}.tsv"))  # entered first, so moved last
        wrd = stack.enter_context(atomic_write(Path(out) / f"{split}.{TEXT}"))
        print("/", file=tsv)
        for utterance, text in transcribed(manifest, split):
            paths = (root / video_path(utterance.path), root / utterance.path)
            print(utterance.id, *paths, utterance.num_frames, utterance.num_samples, sep="\t", file=tsv)
            print(text, file=wrd)
            num_rows += 1
    return num_rows


def export_dictionary(
    manifest: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    split: str = "train",
    pieces: SentencePieces | None = None,
) -> None:
    """Write `dict.wrd.txt` of words, or of all pieces in the model's order, also those that never occur."""
    texts = (text for _, text in transcribed(manifest, split))
    if pieces is None:
        counts = count_units(text.split() for text in texts)
    else:
        found = Counter(piece for text in texts for piece in pieces.encode(text))
        counts = {symbol: found[symbol] for symbol in pieces.symbols}
    write_dictionary(Path(out) / f"dict.{TEXT}.txt", counts)


def read(
    folder: str | os.PathLike[str], split: str, *, root: str | os.PathLike[str] | None = None
) -> Iterator[Utterance]:
    """Read a split of AV-HuBERT's, with transcripts where there is a `.wrd`.

    Paths are those of the sound. The video's must follow from them by `audio/` -> `video/` and `.wav` -> `.mp4`, as it
    does for the layouts of LRS3, MuAViC and prepared clips.

    Args:
        root: what paths shall be relative to, a folder above all recordings; None for the tsv's own.

    Raises:
        ValueError: for a row that is not as described, and for files of different lengths.
    """
    path = Path(folder) / f"{split}.tsv"
    listed_root = read_root(folder, split)
    base = os.path.abspath(listed_root if root is None else root)
    lines = read_lines(path)
    next(lines)
    text_path = Path(folder) / f"{split}.{TEXT}"
    texts: Iterable[str | None] = read_labels(folder, split, TEXT) if text_path.exists() else ()
    has_texts = text_path.exists()
    for number, (line, text) in enumerate(zip_longest(lines, texts), 2):
        where = f"{path}:{number}"
        if line is None or (has_texts and text is None):
            raise ValueError(f"{where}: not as many rows as in {text_path.name}; export both again")
        name, video, sound, num_frames, num_samples = split_row(line, 5, where)
        if not (num_frames.isdecimal() and num_samples.isdecimal()):
            raise ValueError(f"{where}: {num_frames}, {num_samples} are not numbers of frames and samples")
        relative = [os.path.relpath(os.path.join(listed_root, p), base) for p in (video, sound)]
        if relative[1].startswith("..") or relative[0] not in _videos_of(relative[1]):
            raise ValueError(
                f"{where}: {sound} and {video} are not audio/x.wav and video/x.mp4 below {base}; give the folder that "
                "holds audio/ and video/ as the root (--root)"
            )
        yield Utterance(name, relative[1], int(num_samples), int(num_frames), transcript=text, split=split)


def _videos_of(sound: str) -> list[str]:
    """Replace each folder named "audio" by "video"."""
    folders = sound.removesuffix(_SOUND[1]).split("/")
    places = [place for place, name in enumerate(folders[:-1]) if name == _SOUND[0]]
    return ["/".join([*folders[:i], _VIDEO[0], *folders[i + 1 :]]) + _VIDEO[1] for i in places]
