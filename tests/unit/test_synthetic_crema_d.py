"""Synthetic CREMA-D: published layout, reproducible, continued, emotions that can be told apart but not easily."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from folder_contents import contents

from fairseq_ext.corpora import crema_d as reader
from fairseq_ext.media.content import content_of
from fairseq_ext.synthetic import crema_d

pytest.importorskip("espeakng_loader", reason="needs pip install -e .[synthetic]")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("crema_d")
    assert crema_d.write(root, num_actors=2, num_sentences=1, progress=False) == 2 * 16
    return root


def test_the_reader_of_the_real_corpus_reads_it(corpus: Path) -> None:
    problems: list[str] = []
    found = list(reader.read(corpus, measure=content_of, on_problem=problems.append))
    assert not problems
    assert len(found) == 32
    assert {u.speaker: u.gender for u in found} == {"1001": "female", "1002": "male"}
    assert Counter(map(reader.streams(corpus)["intensity"], found)) == {
        "low": 10, "medium": 10, "high": 10, "unspecified": 2,
    }  # fmt: skip
    assert all(0.5 * 16000 < u.num_samples < 5 * 16000 for u in found)
    assert "synthetic" in (corpus / crema_d.LABEL_FILE).read_text(encoding="utf-8")
    assert crema_d.SENTENCES.keys() == reader.SENTENCES.keys()
    assert set(crema_d.EMOTIONS) == set(reader.EMOTIONS)


def test_an_actor_has_82_recordings_as_in_the_real_corpus() -> None:
    assert len(crema_d._names(91, 12)) == 91 * 82
    with pytest.raises(ValueError, match="1 to 91 actors and 1 to 12 sentences expected, found 0 and 12"):
        crema_d._names(0, 12)


def test_it_is_deterministic_continued_and_a_smaller_corpus_is_a_part(corpus: Path, tmp_path: Path) -> None:
    crema_d.write(tmp_path, num_actors=1, num_sentences=1, progress=False)
    small, large = contents(tmp_path), contents(corpus)
    del small["VideoDemographics.csv"]
    assert len(small) == 17
    assert small.items() <= large.items()
    damaged = tmp_path / "AudioWAV" / "1001_IEO_ANG_HI.wav"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    crema_d.write(tmp_path, num_actors=1, num_sentences=1, progress=False)
    assert contents(tmp_path).items() >= small.items()
    with pytest.raises(ValueError, match="choose another folder"):
        crema_d.write(tmp_path, num_actors=1, num_sentences=1, seed=2, progress=False)


def test_emotions_sound_as_they_are_meant(corpus: Path) -> None:
    """Compare anger with sadness, both at high intensity: louder and faster."""

    def level_and_length(name: str) -> tuple[float, float]:
        samples, rate_hz = soundfile.read(corpus / "AudioWAV" / f"{name}.wav")
        return 10 * np.log10(np.mean(samples**2)), len(samples) / rate_hz

    for actor in ("1001", "1002"):
        angry, sad = (level_and_length(f"{actor}_IEO_{emotion}_HI") for emotion in ("ANG", "SAD"))
        assert angry[0] > sad[0] + 6
        assert angry[1] < sad[1]


def recall_of_unseen_actors(features: np.ndarray, emotions: np.ndarray, actors: np.ndarray) -> float:
    """Return the mean recall of nearest class means in a whitened space, two actors left out at a time."""
    classes, correct = np.unique(emotions), np.zeros(len(emotions), bool)
    for left_out in np.unique(actors).reshape(6, 2):
        test = np.isin(actors, left_out)
        means = np.array([features[~test & (emotions == name)].mean(axis=0) for name in classes])
        rest = features[~test] - means[np.searchsorted(classes, emotions[~test])]
        whitening = np.linalg.cholesky(np.linalg.inv(np.cov(rest.T)))
        distances = np.linalg.norm((features[test][:, None] - means) @ whitening, axis=2)
        correct[test] = classes[distances.argmin(axis=1)] == emotions[test]
    return float(np.mean([correct[emotions == name].mean() for name in classes]))


def test_emotions_can_be_told_apart_but_not_easily() -> None:
    """Score the settings of the voices, of unseen actors: a ceiling for whatever hears the recordings."""
    names = [name.removesuffix(".wav") for name in crema_d._names(12, 12)]
    voices = [crema_d.acted(crema_d.actor(name[:4]), crema_d.meant(name, 1)) for name in names]
    settings = [
        (v.pitch, v.pitch_range, np.log(v.rate_wpm), v.channel.peak_dbfs, v.channel.tilt_db) for v in voices
    ]
    emotions = np.array([name.split("_")[2] for name in names])
    actors = np.array([name[:4] for name in names])
    assert 0.85 < recall_of_unseen_actors(np.array(settings), emotions, actors) < 0.97
    assert Counter(crema_d.actor(name).gender for name in set(actors)) == {"female": 6, "male": 6}
    assert len({crema_d.actor(name).variant for name in set(actors)}) == 12
