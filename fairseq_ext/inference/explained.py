"""Prepare trained networks for attribution: choose layers, let gradients through, give frames their times.

Shapes: B clips, S samples, T frames, V symbols, C classes.
"""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from ..checkpoints.load import load_model
from ..explain.maps import FrameGrid
from ..explain.network import Explained, Forward, Network
from ..explain.recording import draw_class, draw_word, parse_target
from ..files import write_bytes
from ..media import audio
from ..models.speech_classifier import SpeechClassifier
from ..modules.encoders import Encoder
from ..report.plots import png
from ..scoring.trained import TrainedModel
from .recognizer import CtcRecognizer, load_recognizer


def explained_recognizer(recognizer: CtcRecognizer, layers: Sequence[str] = ()) -> Explained:
    """Prepare a recogniser; its output is log probabilities (B, T, V). No layers are those of `_candidate_layers`.

    Raises:
        ValueError: the encoder has no layer of that name.
    """
    model = recognizer.model

    def forward(waveform: Tensor) -> Tensor:
        result: Tensor = model(waveform)["logits"].float().log_softmax(2)
        return result

    return _explained(model, model.encoder, forward, recognizer.sample_rate_hz, layers)


def explained_classifier(trained: TrainedModel, layers: Sequence[str] = ()) -> Explained:
    """Prepare a classifier; its output is logits (B, C). From now on gradients pass through a frozen encoder, too.

    Raises:
        ValueError: another model than `ext_speech_classifier`, or the encoder has no layer of that name.
    """
    model = trained.model
    if not isinstance(model, SpeechClassifier):
        raise ValueError(
            f"attribution: needs a model ext_speech_classifier, not {type(model).__name__}; give a checkpoint of one"
        )
    model.config.freeze_encoder = False

    def forward(waveform: Tensor) -> Tensor:
        result: Tensor = model(waveform)["logits"].float()
        return result

    return _explained(model, model.encoder, forward, trained.sample_rate_hz, layers)


def load_explained(
    path: str | Path, layers: Sequence[str] = (), device: str = "cpu"
) -> tuple[CtcRecognizer, Explained]:
    """Load the checkpoint of a recogniser and prepare it; see `load_recognizer` and `explained_recognizer`."""
    recognizer = load_recognizer(path, device)
    return recognizer, explained_recognizer(recognizer, layers)


def explain_recording(
    checkpoint: Path,
    recording: Path,
    target: str,
    out: Path,
    *,
    methods: Sequence[str],
    layers: Sequence[str] = (),
    text: str | None = None,
    label: str = "",
    device: str = "cpu",
) -> None:
    """Draw the parts of a recording that an output of a network depends on, a row for each attribution method.

    Args:
        checkpoint: checkpoint of a recogniser, or of a classifier for a target that is a class.
        target: class or word to explain, see `explain.recording.parse_target`.
        out: PNG file to write.
        layers: modules of the encoder; the first of several counts.
        text: reference transcript; None = the recogniser's hypothesis.
        label: stream of a classifier that has several.

    Raises:
        ValueError: no such target, a text that cannot be spelled, or a recording that is too long.
        AudioError: the recording cannot be read.
    """
    if parse_target(target)[0] == "class":
        trained = load_model(checkpoint, device, label=label)
        network = next(iter(explained_classifier(trained, layers).networks.values()))
        samples = audio.load(recording, sample_rate_hz=trained.sample_rate_hz)
        figure = draw_class(network, samples, trained.labels, target, methods, device=device)
    else:
        recognizer, explained = load_explained(checkpoint, layers, device)
        network = next(iter(explained.networks.values()))
        samples = audio.load(recording, sample_rate_hz=recognizer.sample_rate_hz)
        symbols = recognizer.symbols
        figure = draw_word(network, samples, symbols, target, methods, text=text, device=device)
    write_bytes(out, png(figure))


def _candidate_layers(encoder: Encoder) -> list[str]:
    """Return names of layers to choose from, the convolutions' normalised output first, to the transformer's middle.

    Deeper ones are left out: there a map cannot leave the aligned frames, whatever was learnt. So is the output of
    the convolutions before its norm, whose values are not 0 in silence: on a small recogniser HiRes-CAM hit 41 % of the
    words there, 89 % after the norm.
    """
    num_layers = len(encoder.encoder.layers)
    depths = sorted({0, max(0, num_layers // 2 - 1)}) if num_layers else []
    return ["layer_norm", *(f"encoder.layers.{i}" for i in depths)]


def _explained(
    model: nn.Module,
    encoder: Encoder,
    forward: Forward,
    sample_rate_hz: int,
    layers: Sequence[str],
) -> Explained:
    # The convolutions may have been frozen in training: nothing of a waveform's gradient would be left.
    encoder.feature_grad_mult = 1.0
    grid = FrameGrid.of_convolutions(encoder.convolutions, sample_rate_hz)
    modules = dict(encoder.named_modules())
    names = list(layers) or _candidate_layers(encoder)
    if unknown := [name for name in names if name not in modules]:
        raise ValueError(
            f"layer {unknown[0]!r}: the encoder has no such module; choose one such as "
            f"{', '.join(_candidate_layers(encoder))}"
        )
    return Explained(
        model.eval(), {name: Network(forward, modules[name], 1, grid, sample_rate_hz) for name in names}
    )
