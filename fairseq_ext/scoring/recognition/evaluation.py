"""Scoring of trained recognisers, and the files of their systems; every decoder gets the same log-probabilities.

Files: predictions.<decoder>.tsv, config.json, and last metrics.json, whose presence means that the system is scored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ...decoding.lm_weights import write_lm_weights
from ...files import atomic_write
from ...text.normalize import normalize
from .. import provenance
from ..scored_system import RECOGNITION, ScoredSystem, is_scored, write_json
from ..trained import Recognizer
from ..trainings import FinishedTraining
from . import scores
from .acoustics import (
    Acoustics,
    SpeechSplit,
    hours_of,
    language_of,
    overlap,
    read_speech,
    run_network,
)
from .decoders import WITH_LM, Decoder, LanguageModel, greedy_decoder, tuned_decoder
from .transcripts import Transcripts, file_name, write_transcripts

Load = Callable[[str], Recognizer]


@dataclass(frozen=True)
class Options:
    """The options of scoring.

    Attributes:
        split: split to score.
        dev_split: split to tune the language model's weights on.
        language: code of `text.normalize`; empty = that of the sidecar.
        lm: language model; None = greedy decoding only.
        max_dev: utterances of the dev split to tune on, at most; the same for all systems.
        batch_size: recordings in a batch.
        device: torch device.
        keep_weights: whether the tuned weights are written beside the checkpoint.
    """

    split: str = "test"
    dev_split: str = "valid"
    language: str = ""
    lm: LanguageModel | None = None
    max_dev: int = 300
    batch_size: int = 16
    device: str = "cpu"
    keep_weights: bool = True


def recognise_all(
    trainings: Sequence[FinishedTraining], load_recognizer: Load, options: Options, *, force: bool = False
) -> Iterator[str]:
    """Score recognisers one after another; what is already scored is skipped.

    Args:
        trainings: the recognisers.
        load_recognizer: loads a recogniser from its path; called only when there is something to score.
        options: options of scoring.
        force: score again what is already scored.

    Yields:
        A line about each, for the terminal.
    """
    hidden = None if len(trainings) > 1 else True
    for training in tqdm(trainings, desc="recognise", unit="system", disable=hidden):
        name = training.system.title
        if is_scored(training.out) and not force:
            yield f"{name}: already scored"
            continue
        recognizer = load_recognizer(str(training.checkpoint))
        where = {"data": training.data, "train_log": training.log}
        result = evaluate(recognizer, training.system, training.out, options=options, **where)
        if options.keep_weights and WITH_LM in result["decoders"]:
            write_lm_weights(training.checkpoint, result["decoders"][WITH_LM]["settings"])
        unread = f", {result['num_unreadable']} unreadable" if result["num_unreadable"] else ""
        yield f"{name}: {scores.figures(result)} of {result['n']} recordings{unread}"


def evaluate(
    recognizer: Recognizer,
    system: ScoredSystem,
    out: Path,
    *,
    data: Path,
    options: Options,
    train_log: Path | None = None,
) -> Mapping[str, Any]:
    """Score a recogniser on a split and write the system's files.

    Args:
        recognizer: the recogniser.
        system: name of the result.
        out: folder to write to.
        data: manifest folder.
        options: options of scoring.
        train_log: fairseq's log, for the seconds that the training took.

    Returns:
        The contents of metrics.json.

    Raises:
        ValueError: the split lacks speakers, transcripts or a language, or the dev split is the scored one.
    """
    speech = read_speech(data, options.split)
    language = options.language or language_of(speech, f"{data}/{options.split}")
    found = run_network(recognizer, speech.entries, batch_size=options.batch_size, device=options.device)
    read = speech.subset(found.rows)
    hours = hours_of(read.entries, recognizer.sample_rate_hz)
    by_decoder: dict[str, Any] = {}
    for decoder in _decoders(recognizer, data, language, options):
        texts, seconds = _decode(decoder, found)
        write_transcripts(out / file_name(decoder.name), _transcripts(read, texts))
        factor = (found.network_s + seconds) / (3600 * hours)
        score = scores.score_recognition(read.references, texts, *_who(read), language)
        by_decoder[decoder.name] = {"settings": dict(decoder.settings), "real_time_factor": factor, **score}
    if found.failures:
        with atomic_write(out / "unreadable.tsv") as file:
            file.writelines(f"{speech.utterances[i].id}\t{reason}\n" for i, reason in found.failures)
    _, labelled_hours = provenance.training_audio(recognizer.cfg, data)
    num_parameters = sum(p.numel() for p in recognizer.model.parameters())
    result = {
        **system.metadata(RECOGNITION, recognizer.cfg, device=options.device, num_parameters=num_parameters),
        "n": len(read.utterances),
        "num_speakers": len({u.speaker for u in read.utterances}),
        "hours": hours,
        "language": language,
        "split": options.split,
        "labelled_minutes": None if labelled_hours is None else 60 * labelled_hours,
        "num_updates": recognizer.num_updates,
        "num_unreadable": len(found.failures),
        **overlap(
            data, str(recognizer.cfg.dataset.train_subset), read, partial(normalize, language_code=language)
        ),
        "train_s": provenance.training_seconds(train_log) if train_log else None,
        "decoders": by_decoder,
    }
    write_json(out / "config.json", provenance.plain(recognizer.cfg))
    write_json(out / "metrics.json", result)
    return result


def _decoders(recognizer: Recognizer, data: Path, language: str, options: Options) -> Iterator[Decoder]:
    yield greedy_decoder(recognizer.symbols)
    if options.lm is None:
        return
    if options.dev_split == options.split:
        raise ValueError(
            f"{data}/{options.split}: the language model's weights cannot be tuned on the split that is scored; name "
            "a development split"
        )
    dev = read_speech(data, options.dev_split)
    # A fixed seed: all systems are tuned on the same utterances.
    drawn = np.random.default_rng(0).permutation(len(dev.entries))[: options.max_dev]
    dev = dev.subset(sorted(drawn.tolist()))
    found = run_network(recognizer, dev.entries, batch_size=options.batch_size, device=options.device)
    spell = partial(normalize, language_code=language)
    references = [spell(text) for text in dev.subset(found.rows).references]
    yield tuned_decoder(recognizer.symbols, options.lm, found.batches, references, options.dev_split)


def _decode(decoder: Decoder, found: Acoustics) -> tuple[list[str], float]:
    """Return texts in the order of `found.rows`, and the seconds that decoding took."""
    start = time.perf_counter()
    batches = tqdm(found.batches, desc=decoder.name, unit="batch", leave=False, disable=None)
    texts = [text for batch in batches for text in decoder.decode(*batch)]
    return texts, time.perf_counter() - start


def _who(read: SpeechSplit) -> tuple[list[str], list[str | None], list[str | None]]:
    """Return speakers, accents and genders."""
    return (
        [str(u.speaker) for u in read.utterances],
        [u.accent for u in read.utterances],
        [u.gender for u in read.utterances],
    )


def _transcripts(read: SpeechSplit, texts: list[str]) -> Transcripts:
    """Sort texts by id, as batches are sorted by length."""
    columns = zip(
        (u.id for u in read.utterances),
        (str(u.speaker) for u in read.utterances),
        read.references,
        texts,
        strict=True,
    )
    ids, speakers, references, hypotheses = zip(*sorted(columns), strict=True)
    return Transcripts(ids, speakers, references, hypotheses)
