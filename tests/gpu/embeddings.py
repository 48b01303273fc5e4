"""Step embeddings: recordings per second that wav2vec 2.0 base embeds, a plain loop over transformers against ours.

The loop is what its documentation shows: a file, the feature extractor, the model, the mean of the last layer. Ours is
`load_embedder` of the model's folder, which takes batches of recordings of similar length; in bfloat16 the network of
the converted folder. All read the same FLAC files. Random weights, made here; outputs are compared without TF32, which
cuDNN uses by default.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ssl_step
from forks import in_fork
from numpy.typing import NDArray
from results import Report, say

RATE = 16_000
# ||ours - loop|| / ||loop||. Products in another order give 1e-6 over 12 layers in float32; bfloat16 has 8 bits of
# mantissa. Padding in a mean, or a frame too many, gives 1e-2 and more.
MOST_APART = {"float32": 1e-4, "bfloat16": 5e-2}
Embed = Callable[[list[tuple[Path, int]]], NDArray[np.float32]]


@dataclass(frozen=True)
class Settings:
    """Shape of the model and number of recordings."""

    device: str
    clips: int = 512
    seconds: tuple[float, float] = (2.0, 15.0)
    batch_size: int = 32
    layers: int = 12
    width: int = 768
    heads: int = 12
    compared: int = 64


def settings(device: str, *, tiny: bool, seconds: float) -> Settings:
    """Return the settings of a run: the shape of wav2vec 2.0 base, or a toy."""
    if tiny:
        return Settings(
            device, clips=6, seconds=(0.5, 1.0), batch_size=3, layers=1, width=32, heads=2, compared=6
        )
    return Settings(device)


def run(chosen: Settings, work: Path, report: Report) -> None:
    """Make recordings and a model, embed them in each way in a process of its own, and compare the embeddings."""
    paths = _write_recordings(work / "recordings", chosen)
    report(speech_s=sum(size for _, size in paths) / RATE)
    in_fork(_write_model, work, chosen)
    ways: dict[str, tuple[Any, str]] = {"transformers loop": (loop, "float32"), "ours": (embedder, "float32")}
    if chosen.device == "cuda":
        ways["ours, bfloat16"] = (ours, "bfloat16")
    found: dict[str, Any] = {}
    reference = None
    for name, (way, dtype) in ways.items():
        row, embedding = in_fork(_measure, way, chosen, work, paths, dtype)
        reference = embedding if reference is None else reference
        found[name] = {**row, "dtype": dtype, "distance": distance(embedding, reference)}
        found[name]["speed_up"] = found["transformers loop"]["seconds"] / row["seconds"]
        report(ways=found)
        say(f"embeddings: {name}: {row['recordings_per_s']:.1f} recordings/s")
    for name, row in found.items():
        allowed = MOST_APART[row["dtype"]]
        if not row["distance"] < allowed:  # nan too
            raise RuntimeError(
                f"{name}: embeddings {row['distance']:.1e} from the loop's, {allowed:.0e} allowed"
            )


def distance(found: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Return the relative distance of (N, D) embeddings: ||found - reference|| / ||reference||."""
    return float(np.linalg.norm(found - reference) / np.linalg.norm(reference))


def _write_recordings(folder: Path, chosen: Settings) -> list[tuple[Path, int]]:
    """Write FLAC files of noise in the rhythm of syllables; return path and samples of each."""
    import soundfile

    folder.mkdir(parents=True)
    draw = np.random.default_rng(1)
    found = []
    for number in range(chosen.clips):
        size = round(RATE * draw.uniform(*chosen.seconds))
        loudness = 0.1 * (1.2 + np.sin(2 * np.pi * 4.0 * np.arange(size) / RATE))
        path = folder / f"{number:04}.flac"
        soundfile.write(path, (loudness * draw.normal(scale=0.3, size=size)).clip(-1, 1), RATE)
        found.append((path, size))
    return found


def _write_model(work: Path, chosen: Settings) -> None:
    """Write a model with random weights as a folder of transformers, and convert it to a checkpoint of ours."""
    import torch
    import transformers

    from fairseq_ext.checkpoints.convert import convert

    transformers.utils.logging.disable_progress_bar()
    config = transformers.Wav2Vec2Config(
        hidden_size=chosen.width,
        num_hidden_layers=chosen.layers,
        num_attention_heads=chosen.heads,
        intermediate_size=4 * chosen.width,
    )
    torch.manual_seed(1)
    transformers.Wav2Vec2Model(config).save_pretrained(work / "hf")
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(work / "hf")
    convert(work / "hf", work / "encoder.pt")


def _measure(
    way: Callable[..., Embed], chosen: Settings, work: Path, paths: list[tuple[Path, int]], dtype: str
) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Return the figures of a way, and the embeddings of some recordings without TF32, which it makes first."""
    import torch

    default = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    embed = way(chosen, work, dtype)
    exact = embed(paths[:: max(1, len(paths) // chosen.compared)])
    torch.backends.cudnn.allow_tf32 = default
    embed(paths[: chosen.batch_size])
    start = time.perf_counter()
    embed(paths)
    seconds = time.perf_counter() - start
    row = {"recordings_per_s": len(paths) / seconds, "seconds": seconds}
    return {**row, "peak_mb": ssl_step.peak_mb(chosen.device)}, exact


def loop(chosen: Settings, work: Path, dtype: str) -> Embed:
    """Return the plain loop: one file at a time."""
    import soundfile
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    extract = transformers.Wav2Vec2FeatureExtractor.from_pretrained(work / "hf")
    model = transformers.Wav2Vec2Model.from_pretrained(work / "hf").to(chosen.device).eval()

    @torch.no_grad()
    def embed(paths: list[tuple[Path, int]]) -> NDArray[np.float32]:
        rows = []
        for path, _ in paths:
            waveform, rate = soundfile.read(path, dtype="float32")
            inputs = extract(waveform, sampling_rate=rate, return_tensors="pt").to(chosen.device)
            rows.append(model(**inputs).last_hidden_state.mean(1)[0].cpu())
        return torch.stack(rows).numpy()

    return embed


def embedder(chosen: Settings, work: Path, dtype: str) -> Embed:
    """Return our way: vectors of the folder of transformers, of the mean of the last layer."""
    from fairseq_ext.inference.embedder import load_embedder

    found = load_embedder(work / "hf", chosen.layers, "mean", chosen.device)
    return lambda paths: found([path for path, _ in paths])[:, 0]


def ours(chosen: Settings, work: Path, dtype: str) -> Embed:
    """Return our way in another precision: the encoder of a checkpoint, over batches of similar length."""
    import torch

    from fairseq_ext.checkpoints.load import load_model
    from fairseq_ext.line_index import AudioEntry
    from fairseq_ext.modules.padding import valid_mask
    from fairseq_ext.scoring.embeddings import extract

    encoder = load_model(work / "encoder.pt", chosen.device).model.to(getattr(torch, dtype))

    class Mean(torch.nn.Module):
        """The mean of a clip's valid frames."""

        def forward(self, source: torch.Tensor, padding_mask: torch.Tensor) -> dict[str, Any]:
            found = encoder.encode(source.to(encoder.mask_emb.dtype), padding_mask)
            valid = valid_mask(found.lengths, found.frames.shape[1])[:, :, None]
            total = found.frames.float().masked_fill(~valid, 0.0).sum(1)
            return {"embedding": total / found.lengths[:, None], "logits": None}

    def embed(paths: list[tuple[Path, int]]) -> NDArray[np.float32]:
        entries = [AudioEntry(path, 0, size) for path, size in paths]
        found = extract(Mean(), entries, RATE, batch_size=chosen.batch_size, device=chosen.device)
        if found.failures:
            raise RuntimeError(f"recordings that cannot be read: {found.failures[:3]}")
        return found.embedding

    return embed
