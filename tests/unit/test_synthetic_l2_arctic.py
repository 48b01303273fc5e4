"""Synthetic L2-ARCTIC: published layout, reproducible, accents that are told by their sounds and by nothing else."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from folder_contents import contents

from fairseq_ext.corpora import l2_arctic as reader
from fairseq_ext.media.content import content_of
from fairseq_ext.synthetic import l2_arctic
from fairseq_ext.synthetic.accents import _VOWELS, ACCENTS, LANGUAGE, accented
from fairseq_ext.synthetic.speech import synthesise

pytest.importorskip("espeakng_loader", reason="needs pip install -e .[synthetic]")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("l2_arctic")
    assert l2_arctic.write(root, num_speakers=2, num_prompts=2, progress=False) == 6 * 2 * 2
    return root


def test_the_reader_of_the_real_corpus_reads_it(corpus: Path) -> None:
    problems: list[str] = []
    found = list(reader.read(corpus, measure=content_of, sample_rate_hz=16_000, on_problem=problems.append))
    assert not problems
    assert Counter((u.accent, u.gender) for u in found) == {
        (accent, gender): 2 for accent in ACCENTS for gender in ("female", "male")
    }
    assert {u.transcript for u in found} == set(l2_arctic.PROMPTS[:2])
    assert {reader.sentence(u) for u in found} == {"arctic_a0001", "arctic_a0002"}
    assert {u.speaker for u in found if u.accent == "Korean"} == {"KOR01", "KOR02"}
    assert all(1.5 * 16000 < u.num_samples < 8 * 16000 for u in found)
    assert "synthetic" in (corpus / l2_arctic.LABEL_FILE).read_text(encoding="utf-8")
    assert {speaker.accent for speaker in reader._read_table(reader.SPEAKERS, pytest.fail).values()} == set(
        ACCENTS
    )


def test_it_is_deterministic_continued_and_a_smaller_corpus_is_a_part(corpus: Path, tmp_path: Path) -> None:
    l2_arctic.write(tmp_path, num_speakers=1, num_prompts=1, progress=False)
    small, large = contents(tmp_path), contents(corpus)
    del small["speakers.tsv"]
    assert len(small) == 1 + 6 * 2
    assert small.items() <= large.items()
    damaged, text = tmp_path / "HIN01/wav/arctic_a0001.wav", tmp_path / "VIE01/transcript/arctic_a0001.txt"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    text.unlink()
    l2_arctic.write(tmp_path, num_speakers=1, num_prompts=1, progress=False)
    assert contents(tmp_path).items() >= small.items()
    with pytest.raises(ValueError, match="choose another folder"):
        l2_arctic.write(tmp_path, num_speakers=1, num_prompts=1, seed=2, progress=False)
    (tmp_path / "HIN01/wav/mine.wav").touch()
    with pytest.raises(ValueError, match=r"1 files such as HIN01/wav/mine\.wav are not among the recordings"):
        l2_arctic.write(tmp_path, num_speakers=1, num_prompts=1, progress=False)
    with pytest.raises(
        ValueError, match="1 to 48 speakers of each accent and 1 to 40 prompts expected, found 49 and 0"
    ):
        l2_arctic.write(tmp_path, num_speakers=49, num_prompts=0)


def test_settings_are_drawn_alike_for_every_accent_and_no_two_speakers_have_one_voice() -> None:
    """Compare the means of 48 speakers of each accent: within three standard errors of that of all."""
    people = [l2_arctic.learner(f"{accent[:3].upper()}{n:02d}") for accent in ACCENTS for n in range(1, 49)]
    assert Counter((p.accent, p.voice.gender) for p in people) == {
        (accent, gender): 24 for accent in ACCENTS for gender in ("female", "male")
    }
    assert [p.voice.gender for p in people[:4]] == ["female", "male"] * 2
    accents = np.array([p.accent for p in people])
    for setting in (
        [p.voice.pitch for p in people], [p.voice.pitch_range for p in people], [p.voice.rate_wpm for p in people],
        [p.voice.tract_scale for p in people], [p.voice.margin_s for p in people], [p.strength for p in people],
        [p.voice.channel.peak_dbfs for p in people], [p.voice.channel.noise_db for p in people],
        [p.voice.channel.tilt_db for p in people],
    ):  # fmt: skip
        values = np.array(setting, dtype=float)
        means = np.array([values[accents == accent].mean() for accent in ACCENTS])
        assert np.abs(means - values.mean()).max() < 3 * values.std() / np.sqrt(48)
    assert len({(p.voice.variant, p.voice.pitch, p.voice.tract_scale) for p in people}) == len(people)
    for gender, num_variants in (("female", 15), ("male", 32)):
        for accent in ACCENTS:
            used = {p.voice.variant for p in people if p.accent == accent and p.voice.gender == gender}
            assert len(used) > 0.3 * num_variants


def test_rules_change_the_sounds_that_they_name() -> None:
    said = {name: accented("Three students ask.", name, strength=1, seed=1) for name in ("", *ACCENTS)}
    assert said[""] == "T|r|'i: s|t2|'u:|d|@|n|t2|s 'a|s|k"
    assert said["Arabic"].split()[0] == "T|R|'i:"
    assert said["Hindi"].split()[:2] == ["t[|*|'i:", "I|s|t2|'u:|d|a#|n.|t2|s"]
    assert said["Korean"].split()[0] == "s|U|*|'i"
    assert said["Spanish"].split()[1:] == ["e|s|t2|'u|D|a#|n|s", "'a#|s|k"]
    assert said["Vietnamese"].split() == ["t2|h|'i", "s|t2|'u|d|@|n", "'E"]
    assert len(set(said.values())) == 7
    assert accented("Three students ask.", "Korean", strength=0, seed=1) == said[""]
    light = accented("Three students ask.", "Korean", strength=0.5, seed=1)
    assert light == accented("Three students ask.", "Korean", strength=0.5, seed=1)
    assert light not in (said[""], said["Korean"])


@pytest.mark.parametrize("accent", ACCENTS)
def test_the_voice_can_say_every_sound_of_the_rules(accent: str) -> None:
    """Count the phonemes that are heard: at one that it lacks espeak-ng stops."""
    named = {part for _, new, _ in ACCENTS[accent] for part in new.split()} - {"&", "-"}
    words = [f"m|'{sound}|m" if sound in _VOWELS else f"'E|{sound}|E" for sound in sorted(named)]
    spoken = synthesise(" ".join([*words, "m|'E|m"]), language=LANGUAGE, is_phonemes=True)
    assert len(spoken.phonemes) >= 3 * (len(words) + 1)


def test_a_sentence_takes_as_long_in_every_accent() -> None:
    text = l2_arctic.PROMPTS[2]
    plain = l2_arctic._plain_seconds(text)
    longest = shortest = 1.0
    for accent in ACCENTS:
        phonemes = accented(text, accent, strength=1, seed=0)
        ratio = l2_arctic._seconds(phonemes) / plain
        longest, shortest = max(longest, ratio), min(shortest, ratio)
        matched = l2_arctic._seconds(phonemes, l2_arctic._rate(160, text, phonemes))
        assert np.isclose(matched, plain, rtol=0.05), accent
    assert longest > 1.1
    assert shortest < 0.9
