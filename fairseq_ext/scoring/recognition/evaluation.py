"""Scoring of trained recognisers, and the files of their systems; every decoder gets the same log-probabilities.

Files: predictions.<decoder>.tsv, config.json, and last metrics.json, whose presence means that the system is scored.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ...decoding.joint import JointConfig
from ...decoding.lm_weights import write_lm_weights
from ...files import write_reasons
from ...text.spelling import NAME, Spelling
from .. import provenance
from ..scored_system import RECOGNITION, ScoredSystem, is_scored, write_json
from ..trained import ClipRecognizer, Recognizer
from ..trainings import FinishedTraining
from . import scores
from .acoustics import (
    Acoustics,
    SpeechSplit,
    hours_of,
    overlap,
    read_speech,
    run_network,
    spelling_of,
)
from .decoders import WITH_LM, Decoder, LanguageModel, greedy_decoder, joint_decoder, tuned_decoder
from .transcripts import Transcripts, file_name, write_transcripts
from .visemes import has_rules

Load = Callable[[str], Recognizer]


@dataclass(frozen=True)
class Options:
    """The options of scoring.

    Attributes:
        split: split to score.
        dev_split: split to tune the language model's weights on.
        language: language of the texts, where the manifest has no spelling.json; empty = that of the sidecar.
        lm: language model; None = no decoder with one.
        joint: settings of the search with the attention decoder of a lip reader; None = no such search.
        max_dev: utterances of the dev split to tune on, at most; the same for all systems.
        batch_size: recordings in a batch.
        device: torch device.
        keep_weights: whether the tuned weights are written beside the checkpoint.
    """

    split: str = "test"
    dev_split: str = "valid"
    language: str = ""
    lm: LanguageModel | None = None
    joint: JointConfig | None = None
    max_dev: int = 300
    batch_size: int = 16
    device: str = "cpu"
    keep_weights: bool = True


def recognise_all(
    trainings: Sequence[FinishedTraining], load_recognizer: Load, options: Options, *, force: bool = False
) -> Iterator[str]:
    """Score recognisers one after another; what is already scored is skipped.

    Args:
        load_recognizer: loads a recogniser from its path; called only when there is something to score.
        force: score again what is already scored.

    Yields:
        A line about each, for the terminal.
    """
    hidden = None if len(trainings) > 1 else True
    for training in tqdm(trainings, desc="recognise", unit="system", disable=hidden):
        name = training.system.title
        if is_scored(training.out) and not force:
            if not (changes := other_settings(training.out, options)):
                yield f"{name}: already scored"
                continue
            yield f"{name}: scored before with {changes}; scoring again"
        recognizer = load_recognizer(str(training.checkpoint))
        where = {"data": training.data, "train_log": training.log}
        result = evaluate(recognizer, training.system, training.out, options=options, **where)
        if options.keep_weights and WITH_LM in result["decoders"]:
            write_lm_weights(training.checkpoint, result["decoders"][WITH_LM]["settings"])
        unread = f", {result['num_unreadable']} unreadable" if result["num_unreadable"] else ""
        known = "" if result["spelling_from"] == NAME else f" ({result['spelling_from']})"
        yield f"{name}: {scores.figures(result)} of {result['n']} recordings{unread}{known}"


def other_settings(folder: Path, options: Options) -> str:
    """Return in which settings a scored system differs from what is asked now; empty = in none that its file names.

    A system that was scored with a language model has what is asked without one.
    """
    result = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    with_lm = result["decoders"].get(WITH_LM, {}).get("settings", {})
    # Files of earlier versions lack "asked".
    before = {
        "split": result["split"],
        "language": result["language"],
        "lm": with_lm.get("lm", "none"),
        "beam": with_lm.get("beam", "none"),
        "dev_split": with_lm.get("tuned_on", "none"),
        **result.get("asked", {}),
    }
    now = {"split": options.split, "language": options.language or result["language"], **_asked(options)}
    return ", ".join(
        f"{key} {before[key]}, not {now[key]}" for key in now if before.get(key, now[key]) != now[key]
    )


def _asked(options: Options) -> dict[str, Any]:
    """Return what a result with a language model depends on, beside the network."""
    lm = options.lm
    asked = {} if options.joint is None else {"joint": _settings(options.joint)}
    if lm is None:
        return asked
    grid = {name: list(values) for name, values in asdict(lm.grid).items()}
    return {
        "lm": lm.name,
        "beam": lm.beam_size,
        "dev_split": options.dev_split,
        "max_dev": options.max_dev,
        **grid,
        **asked,
    }


def _settings(joint: JointConfig) -> dict[str, Any]:
    return {name: getattr(joint, name) for name in ("beam_size", "ctc_weight", "length_bonus")}


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
        train_log: fairseq's log, for the seconds that the training took.

    Raises:
        ValueError: the split lacks speakers, transcripts or a language, or the dev split is the scored one.
    """
    speech = read_speech(data, options.split)
    spelling, spelling_from = spelling_of(data, speech, f"{data}/{options.split}", options.language)
    if options.lm is not None:
        options.lm.check_spelling(spelling, data)
    clips = isinstance(recognizer, ClipRecognizer)
    with_joint = options.joint is not None and clips
    found = run_network(
        recognizer,
        speech.entries,
        batch_size=options.batch_size,
        device=options.device,
        with_memory=with_joint,
    )
    read = speech.subset(found.rows)
    hours = hours_of(read.entries, recognizer.sample_rate_hz)
    by_decoder: dict[str, Any] = {}
    for decoder in _decoders(recognizer, data, spelling, options):
        texts, seconds = _decode(decoder, found)
        spelled = read.texts(spelling)
        write_transcripts(out / file_name(decoder.name), _transcripts(read, texts, spelled, spelling))
        factor = (found.network_s + seconds) / (3600 * hours)
        score = scores.score_recognition(
            read.references,
            texts,
            *_who(read),
            spelling.language,
            spell=spelling,
            spelled=spelled,
            with_visemes=clips and has_rules(spelling.language),
        )
        by_decoder[decoder.name] = {"settings": dict(decoder.settings), "real_time_factor": factor, **score}
    if found.failures:
        failures = ((speech.utterances[i].id, reason) for i, reason in found.failures)
        write_reasons(out / "unreadable.tsv", failures)
    _, labelled_hours = provenance.training_audio(recognizer.cfg, data)
    num_parameters = sum(p.numel() for p in recognizer.model.parameters())
    result = {
        **system.metadata(RECOGNITION, recognizer.cfg, device=options.device, num_parameters=num_parameters),
        "n": len(read.utterances),
        "num_speakers": len({u.speaker for u in read.utterances}),
        "hours": hours,
        "language": spelling.language,
        "spelling": asdict(spelling),
        "spelling_from": spelling_from,
        "split": options.split,
        "asked": _asked(options),
        "labelled_minutes": None if labelled_hours is None else 60 * labelled_hours,
        "num_updates": recognizer.num_updates,
        "num_unreadable": len(found.failures),
        **overlap(data, str(recognizer.cfg.dataset.train_subset), read, spelling),
        "train_s": provenance.training_seconds(train_log) if train_log else None,
        "decoders": by_decoder,
    }
    write_json(out / "config.json", provenance.plain(recognizer.cfg))
    write_json(out / "metrics.json", result)
    return result


def _decoders(recognizer: Recognizer, data: Path, spelling: Spelling, options: Options) -> Iterator[Decoder]:
    yield greedy_decoder(recognizer.symbols)
    if options.joint is not None and isinstance(recognizer, ClipRecognizer):
        reader = recognizer.speaking(spelling.language)
        yield joint_decoder(reader, recognizer.symbols, options.joint)
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
    references = dev.subset(found.rows).texts(spelling)
    yield tuned_decoder(recognizer.symbols, options.lm, found.batches, references, options.dev_split)


def _decode(decoder: Decoder, found: Acoustics) -> tuple[list[str], float]:
    """Return texts in the order of `found.rows`, and the seconds that decoding took."""
    start = time.perf_counter()
    inputs = [
        (*batch, memory) if decoder.needs_memory else batch
        for batch, memory in zip_longest(found.batches, found.memories)
    ]
    batches = tqdm(inputs, desc=decoder.name, unit="batch", leave=False, disable=None)
    texts = [text for batch in batches for text in decoder.decode(*batch)]
    return texts, time.perf_counter() - start


def _who(read: SpeechSplit) -> tuple[list[str], list[str | None], list[str | None]]:
    """Return speakers, accents and genders."""
    return (
        [str(u.speaker) for u in read.utterances],
        [u.accent for u in read.utterances],
        [u.gender for u in read.utterances],
    )


def _transcripts(read: SpeechSplit, texts: list[str], spelled: list[str], spelling: Spelling) -> Transcripts:
    """Sort texts by id, as batches are sorted by length."""
    columns = zip(
        (u.id for u in read.utterances),
        (str(u.speaker) for u in read.utterances),
        read.references,
        texts,
        zip(spelled, map(spelling, texts), strict=True),
        strict=True,
    )
    ids, speakers, references, hypotheses, sides = zip(*sorted(columns), strict=True)
    return Transcripts(ids, speakers, references, hypotheses, sides)
