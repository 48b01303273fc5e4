"""Prepare lip readers for attribution; a word of a video explained, from the checkpoint's path to pictures and a film.

Shapes: B copies of a clip, T frames at 25 Hz, H, W sides of the crop, D width, V symbols.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.av_augment import crop, normalize
from ..decoding.alignment import AlignedWord, TokenSpan, align, aligned_words, greedy_spans
from ..explain.lips.attention import frames_read
from ..explain.lips.film import write_map_film
from ..explain.lips.mouth import lips_mask, share_inside, share_of_area
from ..explain.lips.network import LipNetwork
from ..explain.lips.pictures import ReadFrames, saliency_strip
from ..explain.lips.saliency import SaliencyMap, explain_each
from ..explain.plot import NAMES, Label
from ..explain.recording import parse_target, pick_target, tokens_of
from ..explain.targets import TokenTarget
from ..files import write_bytes
from ..media.mouth.settings import FRAMES_PER_S, MouthSettings
from ..media.mouth.table import ClipRow
from ..report.plots import png
from ..text.units import WORD_START
from .lip_reader import LipReader, load_lip_reader
from .mouth_clip import MouthClip
from .mouth_track import MouthTrack, track_mouth

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Longer clips are hard to see in a picture, and gradients run out of memory.
MAX_DURATION_S = 30.0


@dataclass(frozen=True)
class LipExplanation:
    """The maps of a target of a clip.

    Attributes:
        target: the score.
        maps: a map by each method.
        words: words of the transcript on their frames.
        lines: a line about each map: its share on the lips where they are known.
        read: what the decoder reads; None = there is none.
    """

    target: TokenTarget
    maps: list[SaliencyMap]
    words: list[AlignedWord]
    lines: list[str]
    read: ReadFrames | None

    @property
    def span(self) -> tuple[int, int]:
        """First frame of the target, and the frame after its last."""
        return self.target.spans[0].start, self.target.spans[-1].end

    @property
    def labels(self) -> list[Label]:
        """The words with their times in the clip."""
        return [
            Label(word.text, word.spans[0].start / FRAMES_PER_S, word.spans[-1].end / FRAMES_PER_S)
            for word in self.words
        ]


def explained_lips(reader: LipReader, clip: MouthClip) -> tuple[LipNetwork, Tensor]:
    """Prepare a reader for a clip; return it with the normalised pictures (1, T, H, W).

    Raises:
        ValueError: the reader takes no pictures.
    """
    model = reader.model
    extractor = model.front_end.feature_extractor_video
    if extractor is None or clip.pictures is None:
        raise ValueError(
            "attribution: expected a lip reader of pictures, found one of sound alone (task.modality=audio); give "
            "another checkpoint"
        )
    device = model.proj.weight.device
    sound = reader.features_of(clip)

    def see(pictures: Tensor, first: int) -> Tensor:
        heard = None
        if sound is not None:
            heard = sound[:, :, first : first + pictures.shape[1]].expand(len(pictures), -1, -1)
        found: Tensor = model.front_end(pictures[:, None], heard)
        return found

    def read(vectors: Tensor) -> Tensor:
        found: Tensor = model.proj(model.frame_encoder(vectors, None)).float().log_softmax(2)
        return found

    pictures = normalize(crop(torch.from_numpy(clip.pictures), reader.crop_px, None))[None].to(device)
    return LipNetwork(model, see, read, extractor["resnet"].get_submodule("trunk.layer1")), pictures


def lip_tokens(text: str, symbols: Sequence[str]) -> list[int]:
    """Convert a transcript, spelled as in training, to the indices of a reader's words or characters.

    Raises:
        ValueError: the reader has pieces of words, or lacks a word or character.
    """
    numbers = {symbol: i for i, symbol in enumerate(symbols)}
    words = [f"{WORD_START}{word}" for word in text.split()]
    if words and all(word in numbers for word in words):
        return [numbers[word] for word in words]
    return tokens_of(text, symbols)


def explain_clip(
    reader: LipReader,
    clip: MouthClip,
    target: str,
    methods: Sequence[str],
    *,
    text: str | None = None,
    lips: NDArray[np.bool_] | None = None,
) -> LipExplanation:
    """Explain a word or character of a clip.

    Args:
        target: `word:N` or `char:N`, see `parse_target`; of a reader of whole words a character is a word.
        methods: keys of `explain.lips.saliency.METHODS`.
        text: its transcript; None = what greedy decoding reads.
        lips: where the lips are, (T, H, W); None = not known.

    Raises:
        ValueError: no such target, a text that cannot be spelled, a clip that is too long or a reader of sound.
    """
    target_type, which = parse_target(target)
    if target_type == "class":
        raise ValueError(f"target {target!r}: a lip reader has no classes; name word:N or char:N")
    if clip.num_frames > MAX_DURATION_S * FRAMES_PER_S:
        raise ValueError(
            f"clip: {MAX_DURATION_S:g} s at most expected, found {clip.num_frames / FRAMES_PER_S:.1f} s; cut the "
            "stretch out first"
        )
    network, pictures = explained_lips(reader, clip)
    log_probs = network.output(pictures)[0]
    if text is None:
        spans = greedy_spans(log_probs)
    else:
        spans = align(log_probs, lip_tokens(text, reader.symbols))
    words = aligned_words(spans, reader.symbols)
    chosen = pick_target(words, target_type, which)
    maps = explain_each(network, pictures, chosen, methods)
    lines = ["" if lips is None else _line(found, lips) for found in maps]
    return LipExplanation(chosen, maps, words, lines, _read_frames(reader, clip, spans))


def _line(found: SaliencyMap, lips: NDArray[np.bool_]) -> str:
    inside = share_inside(found, lips)
    if inside is None:
        return "nothing supports it"
    return f"{inside:.0%} on the lips,\nwhich are {share_of_area(found, lips):.0%}"


def _read_frames(reader: LipReader, clip: MouthClip, spans: Sequence[TokenSpan]) -> ReadFrames | None:
    decoder = reader.model.decoder
    if decoder is None or not spans:
        return None
    memory = reader.encode([clip])[2]
    tokens = [span.token for span in spans]
    weights = frames_read(decoder, reader.start_token, tokens, memory)
    return ReadFrames([reader.symbols[token] for token in tokens], weights.float().cpu().numpy())


def explain_video(
    checkpoint: Path,
    video: Path,
    target: str,
    out: Path,
    *,
    methods: Sequence[str],
    text: str | None = None,
    language: str = "",
    device: str = "cpu",
    settings: MouthSettings | None = None,
) -> list[str]:
    """Draw where a lip reader looks for a word of a video: `out`, a PNG, and beside it a film, .mp4.

    Args:
        checkpoint: checkpoint of a lip reader.
        video: any video of a face.
        target: the word, see `explain_clip`.
        out: PNG file to write.
        methods: keys of `explain.lips.saliency.METHODS`.
        text: reference transcript; None = what is read.
        language: language that is spoken, for a reader that is told it.
        settings: how the mouth is found.

    Returns:
        A line about each map, and what a user should know of how the mouth was found.

    Raises:
        VideoError: the video cannot be read, or shows no mouth.
        ValueError: no such target, a text that cannot be spelled, or a clip that is too long.
    """
    reader = load_lip_reader(checkpoint, device).speaking(language)
    with tempfile.TemporaryDirectory(prefix="explain-") as folder:
        track = track_mouth(video, Path(folder), settings)
        row = track.clips[0]
        clip = reader.clip_of(track, row)
        lips = _lips(track, row, reader.crop_px)
        found = explain_clip(reader, clip, target, methods, text=text, lips=lips)
        draw(out, reader, clip, found, is_read=text is None, sound=track.sound(row))
    notes = list(track.notes())
    if len(track.clips) > 1:
        notes.append(
            f"{len(track.clips)} stretches show a mouth; the first is explained, cut out another first"
        )
    return [*_about(found), *notes]


def _lips(track: MouthTrack, row: ClipRow, side_px: int) -> NDArray[np.bool_] | None:
    """Return where the lips are; None where the mouth was cut out already."""
    path = track.landmarks(row)
    return lips_mask(path, side_px) if path.is_file() else None


def _about(found: LipExplanation) -> list[str]:
    start, end = (frame / FRAMES_PER_S for frame in found.span)
    lines = [
        f"{NAMES[one.method]}: {line}".replace("\n", " ")
        for one, line in zip(found.maps, found.lines, strict=True)
    ]
    return [f"“{found.target.name}” from {start:.2f} to {end:.2f} s", *lines]


def draw(
    out: Path,
    reader: LipReader,
    clip: MouthClip,
    found: LipExplanation,
    *,
    is_read: bool,
    sound: NDArray[np.int16] | None = None,
) -> None:
    """Write the strip, `out`, and the film beside it; `is_read` = the text was read from the lips, not given."""
    write_bytes(out, png(strip_of(reader, clip, found, is_read=is_read)))
    write_map_film(out.with_suffix(".mp4"), _seen(reader, clip), found.maps, found.labels, sound)


def strip_of(reader: LipReader, clip: MouthClip, found: LipExplanation, *, is_read: bool) -> "Figure":
    """Draw the maps of a clip over its pictures; arguments as of `draw`."""
    transcript = " ".join(word.text for word in found.words)
    title = f"“{found.target.name}” of “{transcript}” ({'read' if is_read else 'given'})"
    options: dict[str, Any] = {
        "words": found.labels,
        "span": found.span,
        "shares": found.lines,
        "read": found.read,
    }
    return saliency_strip(_seen(reader, clip), found.maps, title=title, **options)


def _seen(reader: LipReader, clip: MouthClip) -> NDArray[np.uint8]:
    """Return the pictures (T, H, W) that the reader sees of a clip."""
    assert clip.pictures is not None, "it was explained"
    pictures: NDArray[np.uint8] = crop(torch.from_numpy(clip.pictures), reader.crop_px, None).numpy()
    return pictures
