"""Picture of a voice: a wide-band spectrogram with formants over it, and pitch and level below.

Shapes: S samples, T frames, K Fourier bins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..features.voice_groups import FRAME_RATE_HZ, GROUPS, NUM_FORMANTS, RATE_HZ
from .plots import COLOURS, canvas, line_sample, png, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..features.voice_recording import MeasuredRecording
    from ..media.readers import Samples

# Praat's view: a Gaussian of 5 ms shows formants and hides harmonics; 70 dB below the loudest point are grey or black.
PICTURED = ("prosody", "formants")  # groups of what is drawn
_WINDOW_S, _RANGE_DB, _TOP_HZ = 0.005, 70.0, 5500.0
_STEP = 40  # samples: 2.5 ms
_FORMANT, _PITCH, _LEVEL = COLOURS[3], COLOURS[0], COLOURS[2]
_MAX_DURATION_S = 60.0  # of a picture: more is not seen


def picture(found: MeasuredRecording, title: str) -> bytes:
    """Draw a recording as PNG, up to half of the rate that it was recorded at; a long one up to a minute, and says so.

    Args:
        found: the recording, prepared and measured, `PICTURED` among its groups.
        title: title of the picture.
    """
    waveform, offset_s = found.prepared.waveform, found.prepared.offset_s
    top_hz = min(_TOP_HZ, found.recorded_rate_hz / 2)
    if len(waveform) > _MAX_DURATION_S * RATE_HZ:
        waveform = waveform[: round(_MAX_DURATION_S * RATE_HZ)]
        title = f"{title}, the first {_MAX_DURATION_S:.0f} s"
    num_frames = 1 + len(waveform) * FRAME_RATE_HZ // RATE_HZ
    prosody, formants = (found.voice.tracks[group][:num_frames] for group in PICTURED)
    times_s = offset_s + np.arange(len(prosody)) / FRAME_RATE_HZ
    voiced = _column("prosody", "voiced", prosody) > 0
    width = float(np.clip(3.0 * len(waveform) / RATE_HZ, 8, 24))
    with style():
        figure, panels = canvas(2, 1, width, 6.5, sharex=True, height_ratios=[3, 1.3])
        _draw_spectrogram(panels[0], waveform, offset_s, top_hz)
        for number in range(1, NUM_FORMANTS + 1):
            formant_hz = _column("formants", f"f{number}", formants)
            shown = voiced & (formant_hz > 0)
            panels[0].plot(times_s[shown], formant_hz[shown], ".", color=_FORMANT, markersize=4)
        panels[0].set(title=title, ylabel="Frequency, Hz", ylim=(0, top_hz))
        panels[0].legend(
            handles=[
                line_sample(color=_FORMANT, marker=".", linestyle="", label=f"F1 to F{NUM_FORMANTS}, voiced")
            ],
            loc="upper right",
            frameon=True,
        )
        _draw_prosody(panels[1], times_s, prosody)
        return png(figure)


def _column(group: str, name: str, track: NDArray[Any]) -> NDArray[Any]:
    return track[:, [column.name for column in GROUPS[group]].index(name)]


def _draw_spectrogram(axes: Axes, waveform: Samples, offset_s: float, top_hz: float) -> None:
    size = round(2 * _WINDOW_S * RATE_HZ)  # a Gaussian is twice as long as its effective length
    position = (np.arange(size) - (size - 1) / 2) / (size / 2)
    emphasised = np.append(
        waveform[:1], waveform[1:] - 0.97 * waveform[:-1]
    )  # 6 dB per octave, as Praat shows it
    padded = np.pad(emphasised, (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(waveform) : _STEP]
    power = np.square(np.abs(np.fft.rfft(frames * np.exp(-12 * position**2 / 2), 512)))  # (T, K)
    level_db = 10 * np.log10(np.maximum(power, 1e-12))
    kept = round(top_hz / (RATE_HZ / 512)) + 1
    top = float(level_db.max())
    end_s = offset_s + len(frames) * _STEP / RATE_HZ
    axes.imshow(
        level_db[:, :kept].T,
        origin="lower",
        aspect="auto",
        cmap="Greys",
        vmin=top - _RANGE_DB,
        vmax=top,
        extent=(offset_s, end_s, 0, kept * RATE_HZ / 512),
        interpolation="bilinear",
    )
    axes.grid(visible=False)


def _draw_prosody(axes: Axes, times_s: NDArray[Any], prosody: NDArray[Any]) -> None:
    voiced = _column("prosody", "voiced", prosody) > 0
    pitch_hz = 100 * 2 ** (_column("prosody", "pitch", prosody) / 12)
    axes.plot(times_s[voiced], pitch_hz[voiced], ".", color=_PITCH, markersize=5)
    axes.set(xlabel="Time, s", ylabel="Pitch, Hz", xlim=(times_s[0], times_s[-1] + 1 / FRAME_RATE_HZ))
    if voiced.any():
        low, high = pitch_hz[voiced].min(), pitch_hz[voiced].max()
        axes.set_ylim(low - 0.15 * (high - low) - 5, high + 0.15 * (high - low) + 5)
    axes.yaxis.label.set_color(_PITCH)
    for start, end in _stretches(_column("prosody", "pause", prosody) > 0):
        axes.axvspan(
            times_s[start], times_s[end - 1] + 1 / FRAME_RATE_HZ, color="#e3e8ee", linewidth=0, zorder=0
        )
    level = axes.twinx()
    level.plot(times_s, _column("prosody", "level", prosody), color=_LEVEL, linewidth=1)
    level.set_ylabel("Level, dB", color=_LEVEL)
    level.grid(visible=False)


def _stretches(on: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and end frame of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]
