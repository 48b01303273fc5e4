"""Draw the looks of a synthetic speaker from a seed: proportions, colours, hair, beard, make-up, glasses.

Units: lengths are in head units, in which the face is about 0.94 wide and 1.5 high: x to the right of the picture,
y down, the origin on the bridge of the nose between the eyes. Colours are (blue, green, red), 0-255.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["Colour", "Light", "Look", "draw_light", "draw_look"]

Colour = tuple[float, float, float]
Gender = Literal["female", "male"]

# From light to dark, as (red, green, blue).
_SKINS = (
    *((247, 218, 200), (236, 200, 176), (222, 178, 146), (205, 156, 118)),
    *((176, 124, 88), (141, 95, 66), (108, 72, 52)),
)
_HAIRS = (
    *((28, 22, 20), (48, 33, 25), (82, 56, 38), (120, 84, 52)),
    *((178, 138, 84), (140, 70, 40), (150, 146, 142), (205, 200, 194)),
)
_HAIR_SHARES = (0.22, 0.20, 0.18, 0.14, 0.10, 0.05, 0.06, 0.05)
_EYES = ((70, 44, 26), (92, 62, 36), (112, 96, 54), (86, 112, 92), (92, 122, 150), (70, 92, 116))
_CLOTHES = (
    *((40, 44, 60), (120, 30, 38), (36, 76, 58), (200, 196, 188), (70, 70, 74)),
    *((28, 60, 110), (150, 120, 70), (92, 60, 110), (210, 160, 60), (20, 20, 22)),
)


@dataclass(frozen=True, slots=True)
class Look:
    """A face."""

    seed: int  # random seed of the fine texture
    skin: Colour  # colour of the skin
    hair: Colour  # colour of the hair
    brow: Colour  # colour of the brows
    iris: Colour  # colour of the irises
    lip: Colour  # colour of the lips
    clothes: Colour  # colour of the clothes
    face_width: float  # half width of the face
    chin_y: float  # y of the chin's lower end
    jaw_power: float  # 1.6 pointed to 3.5 square
    eye_x: float  # half distance between the eyes
    eye_width: float  # half width of an eye
    eye_height: float  # half height of an open eye
    eye_slant: float  # height of the outer corner above the inner one
    brow_y: float  # y of the brows
    brow_thickness: float  # thickness of the brows
    nose_y: float  # y of the nose's lower end
    nose_width: float  # half width of the nose
    nose_depth: float  # relief of the nose, 1 usual
    mouth_y: float  # y of the line between the lips
    mouth_width: float  # half width of the closed mouth
    upper_lip: float  # thickness of the upper lip
    lower_lip: float  # thickness of the lower lip
    hair_style: str  # "bald", "short", "parted", "long" or "curly"
    hairline_y: float  # y of the forehead's upper end
    beard: float  # darkness of the beard, 0 none to 1 full
    moustache: float  # darkness of the moustache
    make_up: float  # strength of lipstick and lashes, 0 to 1
    wrinkles: float  # strength of the folds, 0 to 1
    glasses: str  # "none", "thin", "thick" or "round"
    glasses_colour: Colour  # colour of the frame


@dataclass(frozen=True, slots=True)
class Light:
    """Light of a scene."""

    direction: tuple[float, float, float]  # towards the light: x right, y down, z to the camera; of length 1
    ambient: float  # share of the light that comes from everywhere
    gain: float  # brightness, 1 usual
    cast: Colour  # factor of blue, green and red


def draw_look(seed: int, gender: Gender) -> Look:
    """Draw a face; equal seeds give equal faces."""
    rng = np.random.default_rng([seed, 71])
    male = gender == "male"
    skin = _along(_SKINS, rng.uniform(0, 1) ** 1.2, rng, 6)
    hair = _along(_HAIRS, rng.choice(np.linspace(0, 1, len(_HAIRS)), p=_HAIR_SHARES), rng, 8)
    make_up = 0.0 if male else float(rng.choice([0.0, 0.4, 0.9], p=[0.4, 0.3, 0.3]))
    beard, moustache = _facial_hair(rng) if male else (0.0, 0.0)

    def normal(mean: float, spread: float) -> float:
        return float(np.clip(rng.normal(mean, spread), mean - 2 * spread, mean + 2 * spread))

    return Look(
        seed=seed,
        skin=skin,
        hair=hair,
        brow=_mix(hair, (30.0, 34.0, 40.0), 0.35),
        iris=_along(_EYES, rng.uniform(), rng, 6),
        lip=_lip_colour(skin, make_up, rng),
        clothes=_along(_CLOTHES, rng.uniform(), rng, 10),
        face_width=normal(0.475 if male else 0.455, 0.02),
        chin_y=normal(0.735 if male else 0.70, 0.025),
        jaw_power=normal(2.7 if male else 2.15, 0.3),
        eye_x=normal(0.212, 0.008),
        eye_width=normal(0.098, 0.005),
        eye_height=normal(0.040 if male else 0.045, 0.003),
        eye_slant=normal(0.003, 0.006),
        brow_y=normal(-0.118 if male else -0.132, 0.01),
        brow_thickness=normal(0.024 if male else 0.015, 0.003),
        nose_y=normal(0.265, 0.014),
        nose_width=normal(0.105 if male else 0.092, 0.009),
        nose_depth=normal(1.0, 0.12),
        mouth_y=normal(0.432, 0.012),
        mouth_width=normal(0.172 if male else 0.162, 0.009),
        upper_lip=normal(0.042 if male else 0.046, 0.005),
        lower_lip=normal(0.054 if male else 0.058, 0.006),
        hair_style=str(
            rng.choice(
                ["bald", "short", "short", "parted", "curly"] if male else ["long", "long", "parted", "curly"]
            )
        ),
        hairline_y=normal(-0.47, 0.035),
        beard=beard,
        moustache=moustache,
        make_up=make_up,
        wrinkles=float(rng.uniform(0.05, 0.6)),
        glasses=str(rng.choice(["none", "thin", "thick", "round"], p=[0.73, 0.11, 0.08, 0.08])),
        glasses_colour=_mix((30.0, 28.0, 30.0), (60.0, 90.0, 140.0), float(rng.uniform() ** 2)),
    )


def draw_light(rng: np.random.Generator) -> Light:
    """Draw the light of a scene: mostly from above, from either side, never from behind."""
    x, y, z = rng.uniform(-0.65, 0.65), rng.uniform(-0.7, 0.05), rng.uniform(0.75, 1.0)
    length = float(np.sqrt(x * x + y * y + z * z))
    warm = float(rng.normal(0, 0.05))
    return Light(
        direction=(x / length, y / length, z / length),
        ambient=float(rng.uniform(0.35, 0.6)),
        gain=float(rng.uniform(0.8, 1.12)),
        cast=(1 - warm, 1.0 + float(rng.normal(0, 0.015)), 1 + warm),
    )


def _along(
    colours: tuple[tuple[int, int, int], ...], at: float, rng: np.random.Generator, spread: float
) -> Colour:
    """Return a colour at 0-1 of the way along a list of (red, green, blue), with some scatter."""
    position = at * (len(colours) - 1)
    index = min(int(position), len(colours) - 2)
    red, green, blue = (
        float(np.clip(a + (position - index) * (b - a) + rng.normal(0, spread) / 2, 4, 252))
        for a, b in zip(colours[index], colours[index + 1], strict=True)
    )
    return (blue, green, red)


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    blue, green, red = (a + share * (b - a) for a, b in zip(one, other, strict=True))
    return (blue, green, red)


def _lip_colour(skin: Colour, make_up: float, rng: np.random.Generator) -> Colour:
    """Return the lips' colour: redder and darker than the skin, with lipstick on top."""
    natural = (skin[0] * 0.62, skin[1] * 0.52, skin[2] * 0.84)
    lipstick = (float(rng.uniform(40, 90)), float(rng.uniform(25, 60)), float(rng.uniform(140, 195)))
    return _mix(natural, lipstick, 0.75 * make_up)


def _facial_hair(rng: np.random.Generator) -> tuple[float, float]:
    """Draw beard and moustache: none, stubble, moustache, or both."""
    style = rng.choice(4, p=[0.5, 0.25, 0.08, 0.17])
    strength = float(rng.uniform(0.55, 0.85))
    return ((0.0, 0.0), (0.22, 0.2), (0.05, strength), (strength, strength))[style]
