"""Units of frames: letters that CTC names in a frame or two fill their words, and no silence."""

from fairseq_ext.labelling.frame_units import REACH, character_frames, letters_of_frames, piece_frames

TEXT = "la gola"
# Frames of the letters: "la" from 5, a pause, "gola" from 20.
TIMES = [[(5, 6), (8, 9)], [(20, 21), (22, 23), (27, 29), (29, 30)]]


def test_frames_within_a_word_go_to_the_nearer_letter_and_pauses_stay_silent() -> None:
    found = letters_of_frames(TIMES, 34)
    spoken = [frame for frame, at in enumerate(found) if at is not None]
    assert spoken == [*range(5 - REACH, 9 + REACH), *range(20 - REACH, 30 + REACH)]
    assert found[5:9] == [(0, 0), (0, 0), (0, 1), (0, 1)]
    assert found[22:29] == [(1, 1)] * 3 + [(1, 2)] * 4


def test_no_letter_gives_silence_and_the_ends_of_a_clip_cut() -> None:
    assert letters_of_frames([], 3) == [None] * 3
    assert letters_of_frames([[(0, 1)]], 2) == [(0, 0)] * 2


def test_a_word_ends_in_the_silence_after_it_or_in_its_last_frame() -> None:
    assert character_frames(TEXT, TIMES, 34)[8 + REACH : 8 + REACH + 3] == ["a", "|", "<s>"]
    assert character_frames("a e", [[(0, 2)], [(2, 4)]], 4) == ["a", "|", "e", "|"]


def test_pieces_take_the_frames_of_their_letters() -> None:
    words = piece_frames(TEXT, ["▁la", "▁gola"], TIMES, 34)
    assert [words[i] for i in (0, 5, 8, 15, 20, 29, 33)] == [
        "<s>",
        "▁la",
        "▁la",
        "<s>",
        "▁gola",
        "▁gola",
        "<s>",
    ]
    parts = piece_frames(TEXT, ["▁", "la", "▁go", "la"], TIMES, 34)
    assert [parts[i] for i in (5, 8, 20, 22, 27, 29)] == ["la", "la", "▁go", "▁go", "la", "la"]
