"""The page's sections about recognisers: functions from a run to pieces, none where there is nothing to show."""

from __future__ import annotations

from collections.abc import Sequence

from ...scoring.scored_system import RECOGNITION
from .. import plots, score_plots
from ..learning import learning_curves
from ..pieces import Block, Picture, Piece
from ..plots import Panel
from ..result_type import Section
from ..run import Run
from . import breakdowns, labelled_speech, noise, systems, tables
from .confusions import confusion_pictures, confusion_tables
from .listen import listen, read_transcribed

PANELS = (
    Panel("loss", "CTC loss", "loss"),
    Panel("wer", "Word error rate, greedy", "WER, %"),
    Panel("cer", "Character error rate, greedy", "CER, %"),
    Panel("uer", "Unit error rate, greedy", "errors per 100 units"),
)

Pieces = Sequence[Piece]


def rates(run: Run) -> Pieces:
    """Show error rates under the first partitions and of each fold, and the recipe's comparisons."""
    shown = [tables.rates(run.results, partition) for partition in systems.shown_partitions(run.results)]
    return [*shown, *tables.fold_tables(run.results), *breakdowns.comparisons(run.results)]


def few_labels(run: Run) -> Pieces:
    """Show WER against the minutes of labelled speech."""
    return labelled_speech.pieces(run.results)


def in_noise(run: Run) -> Pieces:
    """Show WER by the ratio of speech to noise."""
    return noise.pieces(run.results)


def groups(run: Run) -> Pieces:
    """Show WER of each accent and gender, with bars, and of the hardest speakers."""
    pieces: list[Piece] = []
    for group, name in breakdowns.GROUPS.items():
        table = breakdowns.per_group(run.results, group)
        summary = systems.detailed(run.results)
        if table is None or summary is None:
            continue
        values = {
            systems.decoder_title(decoder): {
                g: f["wer"] for g, f in summary["decoders"][decoder][group].items()
            }
            for decoder in systems.decoders([summary])
        }
        title = f"Word error rate by {name}"
        drawing = score_plots.interval_bars(values, title, "WER, % (line: 95 % interval)")
        description = f"Bars of the word error rate by {name}; the table above holds the same figures."
        pieces += [table, Picture(plots.png(drawing), description)]
    by_speaker = breakdowns.per_speaker(run.results)
    return [*pieces, by_speaker] if by_speaker else pieces


def confusions(run: Run) -> Pieces:
    """Show the most frequent errors of the detailed system, and which visemes and words are taken for which."""
    found = read_transcribed(run)
    if found is None or not any(count.errors for count in found.counts):
        return []
    made = confusion_tables(found.references, found.hypotheses)
    return [
        f"{found.title}, {systems.decoder_title(found.decoder)}, first seed.",
        Block("side", {"pieces": made, "text_column": True}),
        *confusion_pictures(found),
    ]


def learning(run: Run) -> Pieces:
    """Draw the learning curves under the first partitions."""
    partitions = systems.shown_partitions(run.results)
    caption = "First seed. Error rates: greedy decoding of the validation split, as logged in training."
    return learning_curves(run, partitions, RECOGNITION, PANELS, caption)


def decoding(run: Run) -> Pieces:
    """Show types of errors, raw rates, settings and speed."""
    return [tables.decoding(run.results, partition) for partition in systems.shown_partitions(run.results)]


def others(run: Run) -> Pieces:
    """Show error rates under all other partitions."""
    return tables.other_rates(run.results)


SECTIONS = (
    Section("recognition", "Word error rates", rates),
    Section("labelled-speech", "Labelled speech", few_labels),
    Section("noise", "Noise", in_noise),
    Section("groups", "Groups and speakers", groups),
    Section("transcripts", "Transcripts", listen),
    Section("mistakes", "Frequent errors", confusions),
    Section("decoding", "Decoding", decoding),
    Section("recognition-learning", "Recognition: learning curves", learning),
    Section("recognition-others", "Recognition: other partitions", others),
)
