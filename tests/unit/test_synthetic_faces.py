"""Talking faces: lips follow the phonemes, as measured by MediaPipe; films are synchronous with their audio."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairseq_ext.media.audio import load
from fairseq_ext.synthetic import phrases
from fairseq_ext.synthetic.faces.look import draw_light, draw_look
from fairseq_ext.synthetic.faces.motion import draw_motion
from fairseq_ext.synthetic.faces.scene import Actor, Shot, render, render_slide
from fairseq_ext.synthetic.faces.video import write_media
from fairseq_ext.synthetic.faces.visemes import PARAMETERS, mouth_track, viseme
from fairseq_ext.synthetic.speech import Phoneme
from fairseq_ext.synthetic.voices import speak, voice_pool

av = pytest.importorskip("av")
cv2 = pytest.importorskip("cv2", reason="needs pip install -e .[video]")
pytest.importorskip("espeakng_loader", reason="needs pip install -e .[synthetic]")

OPENING, WIDTH, TEETH, _TONGUE, TUCK = range(len(PARAMETERS))
FPS = 25.0


def said(*sounds: str, each_s: float = 0.12, lead_s: float = 0.4) -> list[Phoneme]:
    """Return phonemes of equal duration after some silence."""
    return [Phoneme(lead_s + i * each_s, lead_s + (i + 1) * each_s, sound) for i, sound in enumerate(sounds)]


def frame_at(time_s: float) -> int:
    return int(time_s * FPS)


def to_rgb(planes: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420))


@pytest.fixture(scope="module")
def spoken() -> list[tuple[Any, Any]]:
    """Return a voice and a phrase spoken by it in each language."""
    found = []
    for language in phrases.LANGUAGES:
        for index, voice in enumerate(voice_pool(language, 2, seed=5)):
            text = phrases.draw(language, "train", 2, seed=6)[index].text
            found.append((voice, speak(voice, text)))
    return found


@pytest.fixture(scope="module")
def mesh() -> Iterator[Any]:
    """MediaPipe's face mesh as `media.mouth` uses it: tracking."""
    pytest.importorskip("mediapipe", reason="needs pip install -e .[video]")
    from mediapipe.python.solutions import face_mesh

    with face_mesh.FaceMesh(static_image_mode=False, max_num_faces=1) as found:
        yield found


def test_every_sound_of_the_phrases_has_a_viseme(spoken: list[tuple[Any, Any]]) -> None:
    unknown = {p.ipa for _, speech in spoken for p in speech.phonemes if not viseme(p.ipa)}
    assert not unknown
    assert viseme("ˈaɪ") == ["open", "close front"]
    assert viseme("tʃ") == ["alveolar", "postalveolar"]
    assert viseme("ɑ̃ː") == ["open"]
    assert viseme("?") == []


def test_lips_touch_for_p_b_m_within_a_frame(spoken: list[tuple[Any, Any]]) -> None:
    closures = 0
    for _, speech in spoken:
        track = mouth_track(speech.phonemes, int(speech.duration_s * FPS), FPS)
        for start_s, end_s, ipa in speech.phonemes:
            middle = frame_at((start_s + end_s) / 2)
            if viseme(ipa) == ["bilabial"] and end_s - start_s > 0.01:
                closures += 1
                assert track[middle - 1 : middle + 2, OPENING].min() <= 0.0, (ipa, start_s)
                inside = [i for i in range(len(track)) if start_s <= (i + 0.5) / FPS <= end_s]
                assert (track[inside, OPENING] <= 0.0).all()
            elif viseme(ipa) == ["open"] and end_s - start_s > 0.1:
                assert track[middle - 1 : middle + 2, OPENING].max() > 0.3, (ipa, start_s)
    assert closures > 10


def test_neighbouring_sounds_are_coarticulated() -> None:
    round_s, spread_s = (mouth_track(said("s", vowel), 40, FPS) for vowel in ("u", "i"))
    at = frame_at(0.4 + 0.08)
    assert round_s[at, WIDTH] < 0 < spread_s[at, WIDTH] - 0.3
    widths = [mouth_track(said(vowel, "p", vowel), 40, FPS)[frame_at(0.58), WIDTH] for vowel in ("u", "i")]
    assert widths[0] < -0.4 < 0.4 < widths[1]


def test_f_and_v_put_the_teeth_on_the_lip() -> None:
    for sound in ("f", "v"):
        at = mouth_track(said("a", sound, "a"), 40, FPS)[frame_at(0.58)]
        assert at[TUCK] > 0.6
        assert at[TEETH] > 0.6
        assert 0 < at[OPENING] < 0.2


def test_a_mouth_rests_in_silence() -> None:
    assert mouth_track([], 7, FPS).shape == (7, 5)
    assert not mouth_track([], 7, FPS).any()
    assert mouth_track(said("a"), 0, FPS).shape == (0, 5)
    track = mouth_track(said("a"), 60, FPS)
    assert np.abs(track[:4]).max() < 0.05
    assert np.abs(track[-20:]).max() < 0.05
    assert track[frame_at(0.46), OPENING] > 0.9
    fast, slow = (mouth_track(said("m", "a", "p"), int(2 * fps), fps) for fps in (50.0, 25.0))
    np.testing.assert_allclose(fast[::2][:40, WIDTH], slow[:40, WIDTH], atol=0.25)


def test_faces_and_lights_differ_and_repeat() -> None:
    looks = [draw_look(seed, "female" if seed % 2 else "male") for seed in range(60)]
    assert looks[7] == draw_look(7, "female")
    assert len({look.skin for look in looks}) == 60
    assert {look.hair_style for look in looks} == {"bald", "short", "parted", "long", "curly"}
    assert {look.glasses for look in looks} == {"none", "thin", "thick", "round"}
    assert sum(look.beard > 0 for look in looks) > 5
    assert not any(look.beard for look in looks[1::2])
    skins = [sum(look.skin) / 3 for look in looks]
    assert min(skins) < 90
    assert max(skins) > 190
    assert all(draw_light(np.random.default_rng(i)).direction[2] > 0 for i in range(20))


def test_heads_move_smoothly_and_blink() -> None:
    motion = draw_motion(500, FPS, 1.0, np.random.default_rng(3))
    for path, step, most in ((motion.yaw, 0.04, 0.5), (motion.right, 0.02, 0.1), (motion.roll, 0.02, 0.12)):
        assert np.abs(np.diff(path)).max() < step
        assert 0 < np.abs(path).max() < most
    assert 3 <= (np.diff((motion.lids < 0.4).astype(int)) == 1).sum() <= 12
    assert motion.lids.max() > 0.85
    assert draw_motion(0, FPS, 1.0, np.random.default_rng(3)).yaw.shape == (0,)


def test_equal_shots_give_equal_frames() -> None:
    track = mouth_track(said("a", "m", "i"), 3, FPS)
    shot = Shot(160, 120, FPS, 3, (Actor(draw_look(4, "male"), 0.5, 0.45, 45, track),), seed=9)
    one, other = list(render(shot)), list(render(shot))
    assert len(one) == 3
    assert one[0].shape == (180, 160)
    assert one[0].dtype == np.uint8
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    changed = list(render(Shot(160, 120, FPS, 3, shot.actors, seed=10)))
    assert np.abs(one[0].astype(int) - changed[0]).mean() > 5
    assert np.abs(one[0].astype(int) - one[1]).mean() > 0.3  # the camera's noise
    assert len(list(render_slide(shot))) == 3


def test_people_at_the_edge_are_cropped() -> None:
    for x, y in ((0.0, 0.0), (1.0, 1.0), (3.0, 3.0)):
        shot = Shot(160, 120, FPS, 1, (Actor(draw_look(4, "female"), x, y, 60),), seed=9)
        assert next(render(shot)).shape == (180, 160)


def test_mediapipe_finds_the_faces_and_lips_follow(spoken: list[tuple[Any, Any]], mesh: Any) -> None:
    from mediapipe.python.solutions import face_mesh

    gaps, driven, found, num_frames = [], [], 0, 0
    with face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1) as static:
        for number, (voice, speech) in enumerate(spoken[:6]):
            mesh.reset()
            count = min(40, int(speech.duration_s * FPS))
            track = mouth_track(speech.phonemes, count, FPS)
            look = draw_look(100 + number, voice.gender)
            shot = Shot(224, 224, FPS, count, (Actor(look, 0.5, 0.46, 108, track),), seed=number)
            measured = np.full(count, np.nan)
            for index, planes in enumerate(render(shot)):
                faces = mesh.process(to_rgb(planes)).multi_face_landmarks
                if faces:
                    at = faces[0].landmark
                    eyes = np.hypot(at[263].x - at[33].x, at[263].y - at[33].y)
                    measured[index] = (at[14].y - at[13].y) / eyes
                if index % 10 == 0:
                    assert static.process(to_rgb(planes)).multi_face_landmarks, (number, index)
            seen = ~np.isnan(measured)
            found, num_frames = found + int(seen.sum()), num_frames + count
            gaps.append(measured[seen] / np.nanmax(measured))
            driven.append(track[seen, OPENING] / track[:, OPENING].max())
            assert np.corrcoef(gaps[-1], driven[-1])[0, 1] > 0.7, number
    assert found / num_frames >= 0.99
    assert np.corrcoef(np.concatenate(gaps), np.concatenate(driven))[0, 1] >= 0.85


def test_mouth_shapes_can_be_told_apart() -> None:
    """Teeth are bright, an open mouth is dark, a rounded one is narrow."""
    shapes = {
        "rest": (0, 0, 0, 0, 0),
        "open": (1, 0.1, 0, 0, 0),
        "teeth": (0.3, 0.6, 1, 0, 0),
        "round": (0.2, -1, 0, 0, 0),
    }
    track = np.array(list(shapes.values()), np.float32)
    look = draw_look(11, "female")
    pictures = [
        next(render(Shot(224, 224, FPS, 1, (Actor(look, 0.5, 0.46, 110, track[i : i + 1], 0.0),), seed=2)))
        for i in range(len(track))
    ]
    top, left = round(0.46 * 224 + look.mouth_y * 110), 112
    rest, wide_open, teeth, rounded = (p[:224, :].astype(float) for p in pictures)
    inside = (slice(top, top + 12), slice(left - 6, left + 6))
    assert np.percentile(wide_open[inside], 25) < 0.7 * np.percentile(rest[inside], 25)
    below_lip = (slice(top - 1, top + 4), slice(left - 6, left + 6))
    assert teeth[below_lip].max() > 1.15 * wide_open[below_lip].max()
    beside = (slice(top - 5, top + 6), slice(left - 24, left + 24))
    changed = (np.abs(rounded - rest)[beside] > 12).any(axis=0)  # by column
    assert changed[:16].any()  # the corners of the mouth have moved in
    assert changed[-16:].any()
    assert np.abs(rounded - rest)[:80].max() == 0  # and nothing above the nose


def test_films_are_synchronous_with_their_audio(tmp_path: Path) -> None:
    rate, fps = 44_100, Fraction(30000, 1001)
    samples = np.zeros(2 * rate, np.float32)
    samples[rate : rate + 400] = np.sin(np.arange(400) / 3)
    frames = [np.full((96 * 3 // 2, 96), 16 if index < 30 else 200, np.uint8) for index in range(59)]
    for name in ("a.mp4", "b.mp4"):
        count = write_media(
            tmp_path / name, frames, size=(96, 96), fps=fps, samples=samples, sample_rate_hz=rate
        )
        assert count == 59
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.audio[0].codec_context.name == "aac"
        assert container.streams.video[0].average_rate == fps
        bright = [(float(f.pts * f.time_base), f.to_ndarray()[:96].mean()) for f in container.decode(video=0)]
    assert len(bright) == 59
    lit_s = min(time_s for time_s, value in bright if value > 100)
    assert abs(lit_s - 30 / fps) < 1e-3
    sound = load(tmp_path / "a.mp4", sample_rate_hz=rate)
    assert abs(int(np.argmax(np.abs(sound) > 0.3)) - rate) < 100
    assert abs(len(sound) - len(samples)) < 1100


def test_a_truncated_film_with_its_index_in_front_can_be_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(16, 235, (50, 96 * 3 // 2, 96), dtype=np.uint8)
    for is_fast_start in (True, False):
        path = tmp_path / f"{is_fast_start}.mp4"
        write_media(path, list(noise), size=(96, 96), is_fast_start=is_fast_start)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(av.error.InvalidDataError):
        av.open(str(tmp_path / "False.mp4"))
    count = 0
    with av.open(str(tmp_path / "True.mp4")) as container:
        try:
            for _ in container.decode(video=0):
                count += 1
        except av.error.InvalidDataError:
            pass
    assert 5 < count < 50
