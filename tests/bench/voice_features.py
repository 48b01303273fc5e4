"""Voice features: `fairseq-ext features` against plain scripts over parselmouth and librosa, same files and machine.

    tests/bench/voice_features.py                     300 recordings of what lies in ../shared/data
    tests/bench/voice_features.py --corpus FOLDER --clips 100 --table

The plain way is what their manuals show: a function per feature, each with a Sound or a spectrum of its own, Praat's
commands at their defaults, a pool of as many processes. Both ways read with `media.audio.load`, are processes of their
own, timed from start to end with imports and written files, and prepare nothing (no trimming, no gain). Where librosa
is not installed, which a line says, its part is done by the same lines of torch as in ours: no gain there.

Values are compared on all recordings; the exit status is 1 where fewer than 99 % of voiced frames have a pitch within
1 %, where F1 to F3 are not within 2 % on 99 % of them, or jitter, shimmer or mean HNR are not within 1 % on every
recording, or where ours is not `--least` times as fast. Formants are compared at the same step of time (Praat's values
between its frames are interpolations), those of recordings below 16 kHz with four formants below half their rate.

`--table` prints CPU-ms per second of audio, for each feature in one process.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

RATE, HOP = 16_000, 160
DIGITAL_SILENCE_DB = -90.0
REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY.parent / "shared" / "data"
CORPORA = {"speechocean762": 3, "ravdess": 1, "fsdd": 1}  # parts of the recordings
HAS_LIBROSA = find_spec("librosa") is not None


# --- The plain way -----------------------------------------------------------------------------------------------


def plain_pitch(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the frames of Praat's pitch, Hz, the time of the first before them."""
    found = _sound(waveform).to_pitch()
    return np.append(found.x1, found.selected_array["frequency"])


def plain_intensity(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the frames of Praat's intensity, dB."""
    return _sound(waveform).to_intensity(time_step=0.01).values[0]


def plain_formants(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return F1 to F4 and their bandwidths every 10 ms, (1 + T, 8) Hz, NaN where Praat finds none, as above."""
    ceiling, number = (5500.0, 5.0) if rate_hz >= RATE else (rate_hz / 2, round(5 * rate_hz / 11000))
    found = _sound(waveform).to_formant_burg(
        time_step=0.01, max_number_of_formants=number, maximum_formant=ceiling
    )
    of = (found.get_value_at_time, found.get_bandwidth_at_time)
    rows = [[f(i, at) for f in of for i in (1, 2, 3, 4)] for at in found.xs()]
    return np.array([[found.x1] * 8, *rows])


def plain_jitter(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the local jitter of the recording."""
    from parselmouth.praat import call

    pulses = call(_sound(waveform), "To PointProcess (periodic, cc)", 75, 600)
    return np.array([call(pulses, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3)])


def plain_shimmer(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the local shimmer of the recording."""
    from parselmouth.praat import call

    sound = _sound(waveform)
    pulses = call(sound, "To PointProcess (periodic, cc)", 75, 600)
    return np.array([call([sound, pulses], "Get shimmer (local)", 0, 0, 0.0001, 0.02, 1.3, 1.6)])


def plain_hnr(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the frames of Praat's harmonicity, dB, -200 where it finds none."""
    return _sound(waveform).to_harmonicity_cc().values[0]


def plain_cpp(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the cepstral peak prominence every 10 ms, dB, as above."""
    from parselmouth.praat import call

    found = call(_sound(waveform), "To PowerCepstrogram", 60, 0.01, 5000, 50)
    number = call(found, "Get number of frames")
    first = call(found, "Get time from frame number", 1)
    slices = (call(found, "To PowerCepstrum (slice)", first + 0.01 * i) for i in range(number))
    options = (60, 330, "Parabolic", 0.001, 0.05, "Straight", "Least squares")
    return np.array([first, *(call(slice_, "Get peak prominence", *options) for slice_ in slices)])


def _sound(waveform: np.ndarray) -> Any:
    import parselmouth

    return parselmouth.Sound(waveform.astype(np.float64), RATE)


def _magnitude(waveform: np.ndarray) -> np.ndarray:
    """Return magnitudes of windows of 25 ms (K, T), scaled as ours: a sine of amplitude 1 has 0.5."""
    import librosa

    spectrum = librosa.stft(waveform, n_fft=800, hop_length=HOP, win_length=400)
    return np.abs(spectrum) / 200.0  # the sum of the window


def plain_mel(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return 80 mel bands (T, 80), dB."""
    import librosa

    return 10 * np.log10(np.maximum(_mel(librosa, waveform, 80), 1e-10)).T


def _mel(librosa: Any, waveform: np.ndarray, number: int) -> np.ndarray:
    power = _magnitude(waveform) ** 2
    return librosa.feature.melspectrogram(S=power, sr=RATE, n_mels=number, fmin=20, htk=True, norm=None)


def plain_mfcc(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return 13 coefficients with first and second differences (T, 39)."""
    import librosa

    level = 10 * np.log10(np.maximum(_mel(librosa, waveform, 40), 1e-10))
    first = librosa.feature.mfcc(S=level, n_mfcc=13)
    second = librosa.feature.delta(first, width=5, mode="nearest")
    return np.concatenate([first, second, librosa.feature.delta(second, width=5, mode="nearest")]).T


def plain_chroma(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return chroma (T, 12)."""
    import librosa

    return librosa.feature.chroma_stft(y=waveform, sr=RATE, n_fft=2048, hop_length=HOP, tuning=0.0).T


def plain_spectral(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return contrast, roll-off, bandwidth and centroid (T, 10)."""
    import librosa

    bins = np.linspace(0, RATE / 2, 401)
    of, options = librosa.feature, {"freq": bins, "sr": RATE}
    parts = [of.spectral_contrast(S=_magnitude(waveform), **options)]
    for function in (of.spectral_rolloff, of.spectral_bandwidth, of.spectral_centroid):
        parts.append(function(S=_magnitude(waveform), **options))
    return np.concatenate(parts).T


def _by_ours(group: str) -> Callable[[np.ndarray, int], np.ndarray]:
    def measure(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
        from fairseq_ext.features.voice import voice_features

        return voice_features(waveform, RATE, (group,))[group].numpy()

    return measure


PRAAT: Mapping[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "pitch": plain_pitch,
    "intensity": plain_intensity,
    "formants": plain_formants,
    "jitter": plain_jitter,
    "shimmer": plain_shimmer,
    "hnr": plain_hnr,
    "cpp": plain_cpp,
}
SPECTRA = {"mel": plain_mel, "mfcc": plain_mfcc, "chroma": plain_chroma, "spectral": plain_spectral}
PLAIN = PRAAT | (SPECTRA if HAS_LIBROSA else {name: _by_ours(name) for name in SPECTRA})


def plain_features(path: str) -> dict[str, np.ndarray]:
    """Return all features of a file, the plain way."""
    from fairseq_ext.media.audio import load

    waveform, rate_hz = load(path, sample_rate_hz=RATE), recorded_rate_hz(path)
    return {name: feature(waveform, rate_hz) for name, feature in PLAIN.items()}


def recorded_rate_hz(path: str) -> int:
    """Return the sample rate of a file, Hz."""
    from fairseq_ext.media.audio import probe

    return probe(path).sample_rate_hz


def run_plain(paths: Sequence[str], out: Path, workers: int) -> None:
    """Measure all files, and write them to a folder."""
    out.mkdir()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for number, found in enumerate(pool.map(plain_features, paths, chunksize=4)):
            np.savez(out / f"{number}.npz", **found)


# --- Values ------------------------------------------------------------------------------------------------------


def on_frames(track: np.ndarray, num_frames: int) -> np.ndarray:
    """Place Praat's frames, the time of the first before them, from the nearest of every 10 ms on; NaN elsewhere."""
    values, start = track[1:], round(round(track.flat[0] / 0.01, 6))
    found = np.full((num_frames + len(values), *values.shape[1:]), np.nan)
    found[start : start + len(values)] = values
    return found[:num_frames]


def compare(
    ours: Mapping[str, np.ndarray], summary: Mapping[str, str], plain: Mapping[str, np.ndarray]
) -> dict:
    """Return the relative differences of a recording from the plain way: of frames, and of the whole."""
    num_frames = len(ours["prosody"])
    pitch = on_frames(plain["pitch"], num_frames)
    voiced = ours["prosody"][:, 1] > 0
    both = voiced & (pitch > 0)
    pitch_hz = 100 * 2 ** (ours["prosody"][:, 0] / 12)
    formants = on_frames(plain["formants"], num_frames)[:, :3]
    found = np.where(formants > 0, np.abs(ours["formants"][:, :3] / formants - 1), np.nan)[voiced]
    cpp = on_frames(plain["cpp"], num_frames)
    hnr = plain["hnr"][plain["hnr"] > -200]
    wholes = {
        "jitter": (plain["jitter"][0] * 100, summary["jitter_local"]),
        "shimmer": (plain["shimmer"][0] * 100, summary["shimmer_local"]),
        "hnr": (hnr.mean() if len(hnr) else np.nan, summary["hnr_mean"]),
    }
    result = {
        "pitch": np.abs(pitch_hz[both] / pitch[both] - 1),
        "voicing": voiced[~np.isnan(pitch)] != (pitch[~np.isnan(pitch)] > 0),
        "formants": found[~np.isnan(found)],
        "cpp_db": np.abs(ours["quality"][:, 3] - cpp)[voiced & ~np.isnan(cpp)],
    }
    for name, (expected, text) in wholes.items():
        value = float(text or "nan")
        is_same = np.isnan(value) and np.isnan(expected)
        result[name] = np.array([0.0 if is_same else abs(value / expected - 1)])
    for name in SPECTRA:
        heard = ours["prosody"][:, 2] > DIGITAL_SILENCE_DB  # below, both describe the rounding of zeros
        scale = np.abs(plain[name]).max() or 1.0
        result[name] = np.array([np.abs(ours[name] - plain[name])[heard].max(initial=0) / scale])
    return result


LIMITS = {"pitch": 0.01, "formants": 0.02, "jitter": 0.01, "shimmer": 0.01, "hnr": 0.01}
WANTED_SHARE = {"pitch": 0.99, "formants": 0.99, "jitter": 1.0, "shimmer": 1.0, "hnr": 1.0}


def print_differences(found: Sequence[Mapping[str, np.ndarray]]) -> bool:
    """Print how often ours and the plain way agree, and return whether as often as wanted."""
    is_good = True
    for name in found[0]:
        values = np.concatenate([recording[name] for recording in found]).astype(np.float64)
        line = f"  {name:9} {len(values):7} values, largest difference {values.max(initial=0):.2g}"
        if name in LIMITS:
            share = float((values <= LIMITS[name]).mean())  # NaN, measured by one alone, is above any limit
            is_enough = share >= WANTED_SHARE[name]
            line += f", {100 * share:.2f} % within {100 * LIMITS[name]:.0f} %" + (
                "" if is_enough else "  NOT ENOUGH"
            )
            is_good &= is_enough
        elif name == "voicing":
            line = f"  {name:9} {len(values):7} frames, {int(values.sum())} differ"
        elif name == "cpp_db":
            line += f", 99 % of them within {np.percentile(values, 99):.2g} dB"
        print(line)
    return is_good


# --- The run -----------------------------------------------------------------------------------------------------


def choose(corpus: Path | None, num: int) -> list[str]:
    """Return recordings, evenly from a folder, or from the corpora that lie beside the repository."""
    from fairseq_ext.media.media_files import media_files

    folders = {corpus: 1} if corpus else {DATA / name: parts for name, parts in CORPORA.items()}
    folders = {folder: parts for folder, parts in folders.items() if folder.is_dir()}
    if not folders:
        sys.exit(f"{DATA}: no recordings there; give --corpus")
    chosen = []
    for folder, parts in folders.items():
        paths, wanted = media_files(folder).paths, num * parts // sum(folders.values())
        chosen += [str(folder / path) for path in paths[:: max(1, len(paths) // wanted)][:wanted]]
    return chosen


def measure(command: Sequence[str]) -> float:
    """Run a command and return its wall time, s."""
    environment = {**os.environ, "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\n{' '.join(command[:5])}: exit status {done.returncode}")
    return time.perf_counter() - began


def print_table(paths: Sequence[str]) -> None:
    """Print the CPU-ms per second of audio of each feature, both ways, in this process."""
    import torch

    from fairseq_ext.features.preparation import Preparation, prepare
    from fairseq_ext.features.voice import analyse_voice
    from fairseq_ext.features.voice_groups import GROUPS
    from fairseq_ext.media.audio import load

    torch.set_num_threads(1)
    pairs = [(load(path, sample_rate_hz=RATE), recorded_rate_hz(path)) for path in paths]
    seconds = sum(len(waveform) for waveform, _ in pairs) / RATE
    ours = {name: (lambda w, r, name=name: analyse_voice(w, RATE, (name,), band_hz=r / 2)) for name in GROUPS}
    ours["all groups"] = lambda w, r: analyse_voice(w, RATE, band_hz=r / 2)
    ours["preparation"] = lambda w, r: prepare(w, RATE, Preparation())
    for title, features in (("plain", PLAIN), ("ours", ours)):
        print(f"{title}: CPU-ms per second of audio")
        total = 0.0
        for name, feature in features.items():
            feature(*pairs[0])  # imports, filters
            began = time.process_time()
            for pair in pairs:
                feature(*pair)
            took_ms = 1000 * (time.process_time() - began) / seconds
            total += took_ms
            print(f"  {name:12} {took_ms:7.2f}")
        if title == "plain":
            print(f"  {'together':12} {total:7.2f}")


def main() -> int:
    """Run both ways on the same files, and compare times and values."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, help="folder of recordings (default: those of ../shared/data)")
    parser.add_argument("--clips", type=int, default=300, help="recordings (default: 300)")
    parser.add_argument(
        "--workers", type=int, default=len(os.sched_getaffinity(0)), help="default: the cores"
    )
    parser.add_argument("--least", type=float, default=3.0, help="speed-up wanted (default: 3)")
    parser.add_argument("--table", action="store_true", help="only the table of features, on a tenth of them")
    parser.add_argument("--plain", nargs=2, type=Path, help=argparse.SUPPRESS)  # list of files, folder
    args = parser.parse_args()
    if args.plain:
        run_plain(args.plain[0].read_text(encoding="utf-8").splitlines(), args.plain[1], args.workers)
        return 0
    if not HAS_LIBROSA:
        print("librosa is not installed: mel, MFCC, chroma and spectral shape are ours on both sides")
    paths = choose(args.corpus, args.clips)
    if args.table:
        print_table(paths[::10])
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return run_both(paths, Path(folder), args.workers, args.least)


def run_both(paths: Sequence[str], work: Path, workers: int, least: float) -> int:
    """Time both ways, print speeds and differences, and return the exit status."""
    from fairseq_ext.features.store import FeatureStore, read_summary
    from fairseq_ext.media.audio import probe

    infos = [probe(path) for path in paths]
    seconds = sum(info.num_samples / info.sample_rate_hz for info in infos)
    print(f"{len(paths)} recordings, {seconds / 60:.1f} min, {workers} processes")
    (work / "clips.txt").write_text("\n".join(paths), encoding="utf-8")
    common = ["--workers", str(workers)]
    plain_s = measure(
        [sys.executable, __file__, "--plain", str(work / "clips.txt"), str(work / "plain"), *common]
    )
    program = [sys.executable, "-m", "fairseq_ext.commands.main", "features", *paths]
    ours_s = measure([*program, "--out", str(work / "ours"), "--keep-silence", "--keep-loudness", *common])
    for name, wall_s in (("plain", plain_s), ("ours", ours_s)):
        print(f"  {name:6} {wall_s:7.1f} s {seconds / wall_s:7.1f} times real time")
    print(f"  gain   {plain_s / ours_s:7.2f}x, {least:g}x wanted")
    store = FeatureStore(work / "ours")
    rows = {row["id"]: row for row in read_summary(work / "ours")}
    found, left_out = [], 0
    for number, path in enumerate(paths):
        id_ = str(Path(path).with_suffix(""))
        if id_ not in store:
            left_out += 1
            continue
        plain = dict(np.load(work / "plain" / f"{number}.npz"))
        found.append(compare(store[id_], rows[id_], plain))
    print(f"{len(found)} recordings compared, {left_out} that ours skips left out")
    is_good = print_differences(found)
    return 0 if is_good and plain_s / ours_s >= least else 1


if __name__ == "__main__":
    sys.exit(main())
