"""Clips of two languages with published transcripts and automatic labels, to merge."""

from typing import Any

from fairseq_ext.labelling import merge as merging
from fairseq_ext.labelling.merge import MergeSettings
from fairseq_ext.labelling.table import ClipLabel
from fairseq_ext.manifest import Utterance
from fairseq_ext.media.mouth.table import ClipRow

SETTINGS = MergeSettings(("fr", "it"))
TALK, OTHER_TALK, TUBE = "0u7tTptBo9I", "1AbCdEfGhIj", "enSzPLXxw8I"


def clip(clip_id: str, source: str = "") -> ClipRow:
    return ClipRow(clip_id, source or f"{clip_id}.mp4", num_frames=50, num_samples=32_000)


def record(
    clip_id: str, split: str, text: str | None, *, language: str = "fr", speaker: str = ""
) -> Utterance:
    talk = clip_id.split("/")[-1].rsplit("_", 1)[0]
    return Utterance(
        clip_id, f"video/{talk}.mp4", 1, transcript=text, speaker=speaker or talk, language=language, split=split,
        start_s=1.0, end_s=3.0,
    )  # fmt: skip


def auto(
    clip_id: str, text: str = "Oui, l’océan: 12 fois!", *, language: str = "fr", **changes: Any
) -> ClipLabel:
    columns: dict[str, Any] = {
        "id": clip_id, "video": merging.video_of(clip_id, ""), "state": "labelled", "language": language,
        "language_probability": 0.9, "languages": f"{language}:0.9", "text": text, "avg_logprob": -0.3,
        "characters_per_second": 12.0, "duration_s": 2.0, "speech_s": 1.8, "model": "large-v2",
    }  # fmt: skip
    return ClipLabel(**{**columns, **changes})


PUBLISHED = [
    record(f"fr/train/{TALK}_0001", "train", "Et pourtant on vient tous de locéan"),
    record("fr/valid/2valid2vali_0001", "valid", "Merci."),
    record("fr/test/3test3test3_0001", "test", "C’est ça."),
    record("it/train/4italia4ita_0001", "train", "Perché no?", language="it"),
    record("it/test/5prova5prov_0001", "test", "Sì.", language="it"),
    record("fr/train/6nothing6no_0001", "train", "..."),
    record("de/train/7deutsch7de_0001", "train", "Ja.", language="de"),
    record("fr/test/8silent8sil_0001", "test", None),
]
VOX, AVS, LEAK = "id00001/abcdefghijk/00001", f"{TUBE}_1.000000_3.000000", "3test3test3_5.000000_7.000000"
LABELS = [
    auto(VOX), auto(AVS, "Grazie mille a tutti", language="it"), auto(LEAK), auto("bad", "Мир вам всем"),
    auto("fr/test/8silent8sil_0001"), auto("english", language="en", languages="en:0.99"),
    auto(f"fr/train/{TALK}_0001", "ce que la machine entend"),
]  # fmt: skip


def everything() -> tuple[list[ClipRow], list[ClipLabel], dict[str, Utterance]]:
    ids = dict.fromkeys([*(u.id for u in PUBLISHED), *(label.id for label in LABELS), "unlabelled"])
    return [clip(name) for name in ids], LABELS, {u.id: u for u in PUBLISHED}
