"""Small trees in the layout of L2-ARCTIC."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from emotion_trees import write_recording

# Two speakers of each gender and accent, as published.
PUBLISHED = {
    "ABA": "Arabic", "SKA": "Arabic", "YBAA": "Arabic", "ZHAA": "Arabic",
    "BWC": "Mandarin", "LXC": "Mandarin", "NCC": "Mandarin", "TXHC": "Mandarin",
}  # fmt: skip


def write_speaker(
    place: Path, prompts: Sequence[str] = ("arctic_a0001", "arctic_b0002"), seed: int = 0
) -> Path:
    """Write the folder of a speaker."""
    (place / "transcript").mkdir(parents=True)
    for number, prompt in enumerate(prompts):
        write_recording(place / "wav" / f"{prompt}.wav", seed + number)
        (place / "transcript" / f"{prompt}.txt").write_text(
            f"The sentence {prompt[-4:]}.\n", encoding="utf-8"
        )
    return place


def write_l2_arctic(root: Path, speakers: Sequence[str] = tuple(PUBLISHED)) -> Path:
    """Write two recordings of each speaker."""
    for number, speaker in enumerate(speakers):
        write_speaker(root / speaker, seed=100 * number)
    return root


def write_table(root: Path, speakers: Mapping[str, tuple[str, str]]) -> None:
    """Write the table of speakers: name -> accent, gender."""
    rows = ["speaker\taccent\tgender", *(f"{name}\t{a}\t{g}" for name, (a, g) in speakers.items())]
    (root / "speakers.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
