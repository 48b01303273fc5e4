"""A test of the folds of unseen speakers, for recipes that have some; their files of tests import it."""

from pathlib import Path

from recipes.launching import speakers


def test_each_speaker_is_tested_once(smoke: Path) -> None:
    tested: list[str] = []
    for fold in sorted((smoke / "manifests" / "unseen_speakers").iterdir()):
        test = speakers(smoke, f"unseen_speakers/{fold.name}", "test")
        others = [split for split in ("train", "valid") if (fold / f"{split}.tsv").is_file()]
        assert not test & speakers(smoke, f"unseen_speakers/{fold.name}", *others)
        tested += test
    assert len(tested) == len(set(tested)) == len(speakers(smoke, "all", "test"))
