"""Joining recordings: all of them are there, in their spans, with pauses of room tone."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext.media.audio import AudioError
from fairseq_ext.media.join import JoinStyle, Samples, join, join_files

RATE = 16_000
PLAIN = JoinStyle(fade_s=0.0, levelling=0.0)


def tone(duration_s: float, level: float = 0.1, noise: float = 1e-3, seed: int = 1) -> Samples:
    """Return a hum with noise, quieter at its ends, like a word."""
    time_s = np.arange(round(duration_s * RATE)) / RATE
    hum = level * np.sin(2 * np.pi * 300 * time_s) * np.sin(np.pi * time_s / duration_s)
    return (hum + noise * np.random.default_rng(seed).standard_normal(len(time_s))).astype(np.float32)


def rms_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 8000), min_size=1, max_size=7), st.integers(0, 2**40))
def test_recordings_lie_in_their_spans_and_pauses_between_them(lengths: list[int], seed: int) -> None:
    recordings = [tone(length / RATE, seed=i) for i, length in enumerate(lengths)]
    joined = join(recordings, RATE, seed=seed, style=PLAIN)
    assert joined.samples.dtype == np.float32
    assert len(joined.spans_s) == len(lengths)
    for (start_s, end_s), recording in zip(joined.spans_s, recordings, strict=True):
        inside = joined.samples[round(start_s * RATE) : round(end_s * RATE)]
        np.testing.assert_allclose(inside, recording, atol=1e-6)
    edges = [0.0, *(edge for span in joined.spans_s for edge in span), len(joined.samples) / RATE]
    pauses = [b - a for a, b in list(pairwise(edges))[::2]]
    assert len(pauses) == len(lengths) + 1
    assert all(0.05 - 1 / RATE <= pause <= 0.25 + 1 / RATE for pause in pauses)


def test_equal_arguments_give_equal_samples_and_seeds_differ() -> None:
    recordings = [tone(0.3), tone(0.4)]
    first, again, other = (join(recordings, RATE, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.samples, again.samples)
    assert first.spans_s == again.spans_s != other.spans_s


def test_levels_come_together_by_half() -> None:
    loud, soft = tone(0.5, level=0.4, noise=0), tone(0.5, level=0.04, noise=0)
    assert rms_db(loud) - rms_db(soft) == pytest.approx(20, abs=0.1)

    def difference_db(levelling: float) -> float:
        samples, spans = join([loud, soft], RATE, seed=1, style=JoinStyle(levelling=levelling))
        first, second = (samples[round(a * RATE) : round(b * RATE)] for a, b in spans)
        return rms_db(first) - rms_db(second)

    assert difference_db(0.0) == pytest.approx(20, abs=0.5)
    assert difference_db(0.5) == pytest.approx(10, abs=0.5)
    assert difference_db(1.0) == pytest.approx(0, abs=0.5)


def test_pauses_sound_like_the_room() -> None:
    """Their noise has the level of the quietest frames, unless those are speech; there is no click at a joint."""
    noisy = [
        np.concatenate([tone(0.4, noise=3e-3, seed=i), tone(0.1, level=0, noise=3e-3)]) for i in range(3)
    ]
    samples, spans = join(noisy, RATE, seed=1, style=JoinStyle(levelling=0, max_tone_db=-10))
    pauses = np.concatenate(
        [samples[round(a * RATE) : round(b * RATE)] for (_, a), (b, _) in pairwise(spans)]
    )
    assert rms_db(pauses) == pytest.approx(20 * np.log10(3e-3), abs=1.5)
    even = [0.3 * np.sin(np.arange(4800) * 0.1 + 0.7).astype(np.float32) for _ in range(2)]
    samples, spans = join(even, RATE, seed=1)
    gap = samples[round(spans[0][1] * RATE) : round(spans[1][0] * RATE)]
    assert rms_db(gap) == pytest.approx(rms_db(even[0]) - 35, abs=3)
    hard, _ = join(even, RATE, seed=1, style=PLAIN)
    assert np.abs(np.diff(samples)).max() < 0.05 < np.abs(np.diff(hard)).max()


def test_it_does_not_clip() -> None:
    recordings = [tone(0.3, level=0.99), 0.05 * tone(0.3, level=0.99)]
    samples, _ = join(recordings, RATE, seed=1, style=JoinStyle(levelling=-0.5))
    assert np.abs(samples).max() <= 1.0


def test_nothing_to_join_is_refused() -> None:
    for recordings in ([], [tone(0.3), np.zeros(0, np.float32)]):
        with pytest.raises(ValueError, match="no recordings, or an empty one"):
            join(recordings, RATE, seed=1)


def test_files_of_another_rate_become_one_flac(tmp_path: Path) -> None:
    paths = [tmp_path / f"número {i}.wav" for i in range(3)]
    for i, path in enumerate(paths):
        soundfile.write(path, tone(0.3 + 0.1 * i)[::2], RATE // 2)
    target = tmp_path / "à" / "joined.flac"
    num_samples, spans = join_files(paths, target, 7)
    info = soundfile.info(target)
    assert (info.samplerate, info.channels, info.format, info.subtype) == (RATE, 1, "FLAC", "PCM_16")
    assert info.frames == num_samples
    lengths = [round((b - a) * RATE) for a, b in spans]
    assert lengths == [4800, 6400, 8000]
    expected, before = target.read_bytes(), target.stat().st_mtime_ns
    assert join_files(paths, target, 7) == (num_samples, spans)
    assert target.stat().st_mtime_ns == before
    for damage in (b"", expected[:-200], b"no audio"):
        target.write_bytes(damage)
        join_files(paths, target, 7)
        assert target.read_bytes() == expected
    assert [path.name for path in target.parent.iterdir()] == ["joined.flac"]
    with pytest.raises(AudioError, match=r"absent\.wav"):
        join_files([tmp_path / "absent.wav"], tmp_path / "x.flac", 1)
    assert not (tmp_path / "x.flac").exists()
