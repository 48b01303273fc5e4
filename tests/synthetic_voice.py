"""A voice of two seconds, made of pulses through four resonances, that every machine computes alike.

Period and amplitude vary by a rule, so that jitter and shimmer are not 0; a little noise keeps HNR finite.
"""

import numpy as np

RATE = 16_000
FORMANTS_HZ, BANDWIDTHS_HZ = (620.0, 1180.0, 2550.0, 3400.0), (70.0, 90.0, 140.0, 200.0)
VOICED_S = (0.2, 1.3)
DURATION_S = 1.5


def pulses_s() -> np.ndarray:
    """Return the times of the pulses: 180 Hz rising to 220, alternate periods 1 % longer and shorter."""
    times, number = [VOICED_S[0]], 0
    while times[-1] < VOICED_S[1]:
        share = (times[-1] - VOICED_S[0]) / (VOICED_S[1] - VOICED_S[0])
        times.append(times[-1] + (1 + 0.01 * (-1) ** number) / (180 + 40 * share))
        number += 1
    return np.array(times[:-1])


def voice(scale: float = 0.4) -> np.ndarray:
    """Return the waveform (S,) float32, its peak at a scale; silence around the voiced part has noise at -70 dB."""
    size = round(DURATION_S * RATE)
    spectrum = np.zeros(size // 2 + 1, dtype=complex)
    frequency = np.fft.rfftfreq(size, 1 / RATE)
    for number, at in enumerate(pulses_s()):
        spectrum += (1 + 0.05 * (-1) ** number) * np.exp(-2j * np.pi * frequency * at)
    s = 2j * np.pi * frequency
    for centre, width in zip(FORMANTS_HZ, BANDWIDTHS_HZ, strict=True):
        pole = np.pi * width + 2j * np.pi * centre
        spectrum *= abs(pole) ** 2 / ((s + pole) * (s + pole.conjugate()))
    spectrum /= 1 + (frequency / 300) ** 2  # the slope of the voice source
    wave = np.fft.irfft(spectrum, size)
    noise = (np.arange(size) * 7919 % 1009 * 104729 % 1013) / 506.0 - 1  # the same in every library
    return (scale * wave / np.abs(wave).max() + 0.0005 * noise).astype(np.float32)
