"""Groups of voice features, and what each column of a group measures.

Every group has the same frames: frame t of a recording is centred at t / `FRAME_RATE_HZ` after its first sample, and
a recording of S samples has 1 + S // hop frames, as in `modules.spectral`; what Praat measures is placed at the nearest
frame, 5 ms off at most. What cannot be measured on a frame (pitch of an unvoiced one, a formant that Praat does not
find) is 0, never NaN; `voiced` tells in the groups where 0 is a value.
"""

from dataclasses import dataclass

RATE_HZ, FRAME_RATE_HZ = 16_000, 100  # of the waveform, which is resampled, and of the frames
NUM_MELS, NUM_MFCC, NUM_CONTRASTS, NUM_FORMANTS = 80, 13, 7, 4


@dataclass(frozen=True, slots=True)
class Column:
    """What a column measures, and its unit."""

    name: str
    unit: str


def _columns(unit: str, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, unit) for name in names)


_PITCH_CLASSES = ("c", "c_sharp", "d", "d_sharp", "e", "f", "f_sharp", "g", "g_sharp", "a", "a_sharp", "b")
_CEPSTRAL = tuple(f"mfcc_{i}" for i in range(NUM_MFCC))

GROUPS: dict[str, tuple[Column, ...]] = {
    # Level in mel bands from 20 Hz to half the sample rate; 0 = a full-scale sine.
    "mel": _columns("dB", *(f"mel_{i}" for i in range(NUM_MELS))),
    "mfcc": (
        *_columns("dB", *_CEPSTRAL),
        *_columns("dB/frame", *(f"{name}_delta" for name in _CEPSTRAL)),
        *_columns("dB/frame^2", *(f"{name}_delta2" for name in _CEPSTRAL)),
    ),
    # Power of each pitch class over all octaves, the strongest = 1.
    "chroma": _columns("share", *_PITCH_CLASSES),
    "spectral": (
        *_columns("dB", *(f"contrast_{i}" for i in range(NUM_CONTRASTS))),
        *_columns("Hz", "rolloff", "bandwidth", "centroid"),
    ),
    "prosody": (
        Column("pitch", "semitones over 100 Hz"),
        Column("voiced", "0 or 1"),
        Column("level", "dB"),
        Column("pause", "0 or 1"),
        Column("syllable_rate", "1/s"),  # syllable nuclei in the second around the frame
    ),
    "formants": _columns(
        "Hz", *(f"f{i + 1}" for i in range(NUM_FORMANTS)), *(f"b{i + 1}" for i in range(NUM_FORMANTS))
    ),
    "quality": (
        Column("jitter", "share"),
        Column("shimmer", "share"),
        Column("hnr", "dB"),
        Column("cpp", "dB"),
        Column("voiced", "0 or 1"),
    ),
}


def parse_groups(text: str) -> tuple[str, ...]:
    """Parse names of groups, separated by commas, or "all"; in the order of `GROUPS`.

    Raises:
        ValueError: for an unknown group, and for none.
    """
    wanted = set(GROUPS) if text == "all" else {name for name in text.split(",") if name}
    if unknown := sorted(wanted - set(GROUPS)):
        raise ValueError(
            f"groups: of {', '.join(GROUPS)} expected, found {', '.join(unknown)}; change --groups"
        )
    if not wanted:
        raise ValueError(f"groups: at least one of {', '.join(GROUPS)} expected, found none; change --groups")
    return tuple(name for name in GROUPS if name in wanted)
