"""The section of maps: embeddings in the plane and in space, to turn, to hover over and to listen to.

plotly.js draws; the page holds it, so that it works without a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ...scoring.embedding_files import ABOUT, read_embeddings
from ...scoring.embeddings import project, read_locations
from .. import plots
from ..partitions import detailed_headlines, partition_title, system_title
from ..pieces import Block, Picture, Piece
from ..players import Player, player
from ..result_type import Section
from ..run import Run, sample_rate_hz
from .points import Points, points_of

# t-SNE in space takes half a minute for as many.
MAX_POINTS = 1500
MAX_AUDIO_BYTES = 4_000_000
MAX_CLIP_S = 5.0
# Of the grid: encoders, and layers of each, from the first to the last.
MAX_ENCODERS, MAX_LAYERS = 4, 5
GRID_POINTS = 600


def maps(run: Run) -> Sequence[Piece]:
    """Draw the map of the first headline that has one, then the grid over encoders and layers."""
    for headline in detailed_headlines(run.results):
        points = points_of(run, headline)
        if points and len(points.ids) > 3:
            grid = _grid(run, points)
            return [_map(run, headline, points), *([grid] if grid else [])]
    return []


def _sample(count: int, most: int) -> list[int]:
    return sorted(np.random.default_rng(0).permutation(count)[:most].tolist())


def _map(run: Run, headline: str, points: Points) -> Block:
    name, folders = run.detailed(headline)
    shown = points.subset(_sample(len(points.ids), MAX_POINTS))
    clips = _clips(run, folders, shown.ids)
    projections = dict(_projections(shown.vectors, run.projections))
    title = partition_title(run.results, headline)
    caption = (
        f"{title}: {len(shown.ids)} of {len(points.ids)} test recordings, {system_title(run.results, name)}, first "
        f"seed, {points.source}; recordings of {len(clips)} are on this page. Hollow dots are mistakes. Neighbours are "
        "alike; distances between far groups mean little."
    )
    values: dict[str, Any] = {
        "ids": shown.ids,
        "groups": shown.groups,
        "predicted": shown.predicted,
        "projections": projections,
        "clips": clips,
        "colours": plots.COLOURS,
    }
    about = {"projections": list(projections), "groups": list(shown.groups), "caption": caption}
    description = f"Map of {len(shown.ids)} embeddings, {title}"
    return Block("map", {**about, "points": values, "description": description})


def _projections(
    vectors: NDArray[np.float32], methods: Sequence[str]
) -> Iterable[tuple[str, list[list[float]]]]:
    """Yield name -> coordinates, a list of N for each of 2 and of 3 dimensions."""
    wanted = [(method, dimensions) for dimensions in (2, 3) for method in methods]
    for method, dimensions in tqdm(wanted, desc="maps", unit="map", leave=False, disable=None):
        places = project(vectors, method, dimensions=dimensions)
        places /= np.abs(places).max() or 1.0
        yield f"{method}, {dimensions}-D", places.T.round(4).astype(float).tolist()


def _clips(run: Run, folders: Mapping[str, Path], ids: Sequence[str]) -> dict[str, str]:
    """Return id -> the recording as an address, of as many as the page has room for, drawn at random."""
    locations = {
        key: entry
        for partition in folders
        for key, entry in read_locations(run.folder / "manifests" / partition, "test").items()
    }
    rate_hz = sample_rate_hz(next(iter(folders.values())))
    budget, clips = MAX_AUDIO_BYTES, dict[str, str]()
    order = np.random.default_rng(1).permutation(len(ids))
    for i in tqdm(order.tolist(), desc="clips", unit="clip", leave=False, disable=None):
        options: dict[str, Any] = {"max_s": MAX_CLIP_S, "compress": True, "max_bytes": budget}
        made = player(locations.get(ids[i]), rate_hz, ids[i], **options)
        if isinstance(made, Player):
            clips[ids[i]] = made.uri
            budget -= len(made.uri)
        if budget < MAX_AUDIO_BYTES / 100:
            break
    return clips


def _grid(run: Run, points: Points) -> Picture | None:
    """Draw a panel per encoder and layer, coloured by class; None with less than two."""
    shown = points.subset(_sample(len(points.ids), GRID_POINTS))
    classes = list(shown.groups["class"])
    panels = {}
    folders = sorted(path.parent for path in run.folder.glob(f"embeddings/*/{ABOUT}"))
    for folder in folders[:MAX_ENCODERS]:
        embeddings = read_embeddings(folder)
        embedded = set(embeddings.ids)
        known = [i for i, key in enumerate(shown.ids) if key in embedded]
        rows = embeddings.rows([shown.ids[i] for i in known])
        for layer in _spread(embeddings.layers):
            vectors = embeddings.columns(layer, embeddings.poolings[0])[rows]
            if len(rows) > 3:
                title = folder.name if len(embeddings.layers) == 1 else f"{folder.name}, layer {layer}"
                panels[title] = (project(vectors, run.projections[0]), [classes[i] for i in known])
    if len(panels) < 2 or len(set(classes)) > len(plots.COLOURS):
        return None
    description = (
        f"{run.projections[0]} of {len(shown.ids)} recordings by {', '.join(panels)}, coloured by class."
    )
    caption = f"The same {len(shown.ids)} test recordings by encoder and layer, {run.projections[0]}."
    if len(folders) > MAX_ENCODERS:
        caption += f" {MAX_ENCODERS} of {len(folders)} encoders are shown."
    return Picture(plots.png(plots.clouds(panels)), description, caption, is_wide=True)


def _spread(layers: Sequence[int]) -> list[int]:
    """Return at most `MAX_LAYERS` layers, from the first to the last at equal distances."""
    at = np.linspace(0, len(layers) - 1, min(MAX_LAYERS, len(layers))).round().astype(int)
    return [layers[i] for i in dict.fromkeys(at.tolist())]


MAPS = Section("maps", "Maps of embeddings", maps)
