"""A small set of embeddings with known structure, and its manifests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.scoring.embedding_files import EmbeddingFile

CLASSES = ("calm", "happy", "sad")
SPEAKERS = tuple(f"s{number}" for number in range(6))
SENTENCES = ("dogs", "kids")
INFORMATIVE_LAYER = 1
WIDTH = 8


def utterances() -> list[Utterance]:
    """108 utterances: each speaker says each sentence three times in each class."""
    return [
        Utterance(f"{speaker}/{emotion}_{sentence}_{take}", f"{speaker}_{emotion}_{sentence}_{take}.wav", 16000,
                  speaker=speaker, gender="female" if int(speaker[1]) % 2 else "male", emotion=emotion)
        for speaker in SPEAKERS
        for emotion in CLASSES
        for sentence in SENTENCES
        for take in "123"
    ]  # fmt: skip


def file_of(spoken: list[Utterance], *, seed: int = 0, strength: float = 1.5) -> EmbeddingFile:
    """Embeddings of three layers by mean and std; the mean of layer 1 tells the classes, every layer the speakers."""
    rng = np.random.default_rng(seed)
    class_means = rng.normal(size=(len(CLASSES), WIDTH)) * strength
    speaker_means = rng.normal(size=(len(SPEAKERS), 3, 2 * WIDTH)) * 0.5
    embedding = rng.normal(size=(len(spoken), 3, 2 * WIDTH))
    for row, utterance in enumerate(spoken):
        embedding[row] += speaker_means[SPEAKERS.index(str(utterance.speaker))]
        embedding[row, INFORMATIVE_LAYER, :WIDTH] += class_means[CLASSES.index(str(utterance.emotion))]
    return EmbeddingFile(
        ids=tuple(utterance.id for utterance in spoken),
        embedding=embedding.astype(np.float32),
        layers=(0, 1, 2),
        poolings=("mean", "std"),
        widths=(WIDTH, WIDTH),
        duration_s=rng.uniform(1, 3, len(spoken)).astype(np.float32),
        about={"encoder": "mfcc", "sha256": None, "sample_rate_hz": 16000},
    )


def write_partition(
    folder: Path,
    spoken: list[Utterance],
    is_tested: Callable[[Utterance], bool],
    is_trained: Callable[[Utterance], bool] | None = None,
) -> Path:
    """Write manifests of a partition; the training utterances are those that are not tested."""
    labels: dict[str, Callable[[Utterance], str]] = {
        "emotion": lambda u: u.emotion or "",
        "sentence": lambda u: u.id.split("_")[1],
        "intensity": lambda u: "strong" if u.id.endswith("3") else "",
    }
    train = [u for u in spoken if (not is_tested(u) if is_trained is None else is_trained(u))]
    for split, chosen in (("train", train), ("test", [u for u in spoken if is_tested(u)])):
        write_manifest(folder, split, chosen, root=folder, labels=labels)
    return folder
