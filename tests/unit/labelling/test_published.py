"""Splits that corpora publish: a transcribed corpus must be given, so that its test talks are known."""

import pytest

from fairseq_ext.labelling.published import check_splits_known


def test_clips_of_a_transcribed_corpus_require_its_splits() -> None:
    sources = ["voxceleb2/dev/mp4/id00012/a/00001.mp4", "mtedx/video/fr/valid/talk.mp4"]
    with pytest.raises(
        ValueError,
        match="are unknown; give the corpus with --corpus mtedx=FOLDER",
    ):
        check_splits_known(sources, ["voxceleb2=/data/voxceleb2"])
    check_splits_known(sources, ["mtedx=/data/mtedx"])
    check_splits_known(sources[:1], [])
    check_splits_known(["video/fr/valid/talk.mp4"], [])  # one corpus was prepared: its sources do not name it
