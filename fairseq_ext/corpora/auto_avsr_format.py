"""Label files of auto_avsr and what is built on it, from and to our manifests; after its instructions.

A csv without header or quotes, `dataset,path,video frames,token ids`: the video is `{root_dir}/{dataset}/{path}`, ids
are separated by spaces, and the sound, where it is read, lies beside the video as `.wav` (25 frames/s, 16 kHz: 640
samples a frame). `units.txt` names the ids, `{piece} {id}`: 0 is kept for CTC's blank, 1 is `<unk>`, the last + 1 ends
sentences.

Prepared clips have their sound in a folder of its own, so a model that reads sound needs links beside the videos.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from ..files import atomic_write, read_lines
from ..manifest import Utterance, read_root
from ..text.published import Report
from ..text.units import SentencePieces, from_pieces
from .av_hubert_format import transcribed
from .clip_layout import VIDEO, audio_path, video_path

UNITS_FILE = "units.txt"
UNKNOWN, UNKNOWN_ID = "<unk>", 1
SAMPLES_PER_FRAME = 640


def export(
    manifest: str | os.PathLike[str],
    split: str,
    out: str | os.PathLike[str],
    pieces: SentencePieces,
    *,
    dataset: str | None = None,
) -> int:
    """Write `{split}.csv` and `units.txt` of a manifest of prepared clips (`clip_layout`).

    `dataset` is the first column; None for the name of the clips' folder, so that `root_dir` is the folder above it.

    Raises:
        ValueError: for a row that is no prepared clip, lacks its text, or has a comma in its id. No file is changed.
    """
    dataset = dataset or read_root(manifest, split).name
    ids = {symbol: number for number, symbol in enumerate([UNKNOWN, *pieces.symbols], UNKNOWN_ID)}
    num_rows = 0
    with ExitStack() as stack:
        csv = stack.enter_context(atomic_write(Path(out) / f"{split}.csv"))  # entered first, so moved last
        units = stack.enter_context(atomic_write(Path(out) / UNITS_FILE))
        units.writelines(f"{unit} {number}\n" for unit, number in ids.items())
        for utterance, text in transcribed(manifest, split):
            tokens = [str(ids.get(piece, UNKNOWN_ID)) for piece in pieces.encode(text)]
            cells = [dataset, video_path(utterance.path), str(utterance.num_frames), " ".join(tokens)]
            if any("," in cell for cell in cells):
                raise ValueError(
                    f"utterance {utterance.id!r}: a comma in {cells[:2]} would end a column; rename the clip"
                )
            print(*cells, sep=",", file=csv)
            num_rows += 1
    return num_rows


def read_units(path: str | os.PathLike[str]) -> dict[int, str]:
    """Read `units.txt`; raise ValueError for a row that is not `unit id`, and for repeated ids."""
    units: dict[int, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        unit, _, unit_id = line.rpartition(" ")
        if not unit or not unit_id.isdecimal() or int(unit_id) in units:
            raise ValueError(
                f"{path}:{number}: {line!r} is not `unit id` with an id that occurs once; export it again"
            )
        units[int(unit_id)] = unit
    return units


def read(
    path: str | os.PathLike[str],
    units: Mapping[int, str],
    *,
    on_problem: Report | None = None,
) -> Iterator[Utterance]:
    """Read a csv; its stem is taken as the split.

    Paths are those of the sound relative to the dataset's folder: `audio/{id}.wav` of prepared clips, otherwise beside
    the video. `num_samples` follows from the frames, 640 each.

    Args:
        units: units as `read_units` returns them.
        on_problem: receives one line per row with units that are not known, whose text is lost then; without it such
            a row raises.

    Raises:
        ValueError: for a row that is not as described.
    """
    for number, line in enumerate(read_lines(path), 1):
        cells = line.split(",")
        tokens = cells[-1].split()
        if len(cells) != 4 or not cells[1] or not all(cell.isdecimal() for cell in (cells[2], *tokens)):
            raise ValueError(
                f"{path}:{number}: {line!r} is not of the form `dataset,path,frames,token ids`; export it again"
            )
        found = [units.get(int(token), UNKNOWN) for token in tokens]
        problem = f"{path}:{number}: {cells[-1]} are not all ids of known units"
        if UNKNOWN in found and on_problem is None:
            raise ValueError(f"{problem}; pass the units.txt that belongs to the file")
        if UNKNOWN in found and on_problem is not None:
            on_problem(f"{problem}; skipped")
            continue
        yield _utterance(cells[1], int(cells[2]), from_pieces(found), Path(path).stem)


def _utterance(video: str, num_frames: int, text: str, split: str) -> Utterance:
    name = str(PurePosixPath(video).with_suffix(""))
    is_prepared = name.startswith(f"{VIDEO[0]}/")
    name = name.removeprefix(f"{VIDEO[0]}/")
    return Utterance(
        id=name,
        path=audio_path(name) if is_prepared else f"{name}.wav",
        num_samples=num_frames * SAMPLES_PER_FRAME,
        num_frames=num_frames,
        transcript=text,
        split=split,
    )
