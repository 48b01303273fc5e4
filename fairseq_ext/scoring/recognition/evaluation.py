"""Scoring of trained recognisers, and the files of their systems; every decoder gets the same log-probabilities.

Files: predictions.<decoder>.tsv, in noise predictions.<decoder>.<condition>.tsv, confusions.<decoder>.<unit>.csv,
config.json, and last metrics.json, whose presence means that the system is scored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
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
from .acoustics import hours_of, overlap, read_speech, run_network, spelling_of
from .decoders import WITH_LM, Decoder, LanguageModel, greedy_decoder, joint_decoder, tuned_decoder
from .noise import InNoise, score_in_noise
from .noise_conditions import NOT_HEARD
from .split_scores import SplitScorer
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
        noise_snr_db: ratios at which babble is mixed with the sound for further scores, dB; a recogniser that reads
            pictures alone is scored once all the same.
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
    noise_snr_db: tuple[float, ...] = ()
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
        if options.keep_weights:
            where["weights_beside"] = training.checkpoint
        result = evaluate(recognizer, training.system, training.out, options=options, **where)
        unread = f", {result['num_unreadable']} unreadable" if result["num_unreadable"] else ""
        known = "" if result["spelling_from"] == NAME else f" ({result['spelling_from']})"
        yield f"{name}: {scores.figures(result)} of {result['n']} recordings{unread}{known}"


def other_settings(folder: Path, options: Options) -> str:
    """Return in which settings a scored system differs from what is asked now; empty = in none that its file names.

    A system that was scored with a language model has what is asked without one, and one that was scored in noise what
    is asked of fewer ratios.
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
        "joint": "none",
        "noise_snr_db": [],
        "prior_scales": [0.0],
        **result.get("asked", {}),
    }
    now = {"split": options.split, "language": options.language or result["language"], **_asked(options)}
    if set(now.get("noise_snr_db", [])) <= set(before["noise_snr_db"]):
        now.pop("noise_snr_db", None)
    return ", ".join(
        f"{key} {before[key]}, not {now[key]}" for key in now if before.get(key, now[key]) != now[key]
    )


def _asked(options: Options) -> dict[str, Any]:
    """Return what was asked for beside greedy decoding of clean sound, and what that depends on."""
    lm = options.lm
    asked: dict[str, Any] = {} if options.joint is None else {"joint": _settings(options.joint)}
    if options.noise_snr_db:
        asked["noise_snr_db"] = sorted(set(options.noise_snr_db), reverse=True)
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
    weights_beside: Path | None = None,
) -> Mapping[str, Any]:
    """Score a recogniser on a split and write the system's files.

    Args:
        train_log: fairseq's log, for the seconds that the training took.
        weights_beside: checkpoint beside which the weights of the language model are kept; None = nowhere.

    Raises:
        ValueError: the split lacks speakers, transcripts or a language, or the dev split is the scored one.
    """
    speech = read_speech(data, options.split)
    spelling, spelling_from = spelling_of(data, speech, f"{data}/{options.split}", options.language)
    if options.lm is not None:
        options.lm.check_spelling(spelling, data)
    clips = isinstance(recognizer, ClipRecognizer)
    run = partial(
        run_network,
        recognizer,
        speech.entries,
        batch_size=options.batch_size,
        device=options.device,
        with_memory=options.joint is not None and clips,
    )
    found = run()
    read = speech.subset(found.rows)
    with_visemes = clips and has_rules(spelling.language)
    scorer = SplitScorer(speech, spelling, recognizer.sample_rate_hz, with_visemes, out)
    decoders = list(_decoders(recognizer, data, spelling, options))
    by_decoder = scorer(decoders, found)

    def in_noise(mix: InNoise, condition: str) -> dict[str, dict[str, Any]]:
        return scorer(decoders, run(in_noise=mix), condition)

    noise = {}
    if options.noise_snr_db:
        heard = not isinstance(recognizer, ClipRecognizer) or recognizer.hears_sound
        rate_hz = recognizer.sample_rate_hz
        noise["noise"] = (
            score_in_noise(speech.entries, rate_hz, options.noise_snr_db, in_noise) if heard else NOT_HEARD
        )
    if found.failures:
        failures = ((speech.utterances[i].id, reason) for i, reason in found.failures)
        write_reasons(out / "unreadable.tsv", failures)
    num_parameters = sum(p.numel() for p in recognizer.model.parameters())
    result = {
        **system.metadata(RECOGNITION, recognizer.cfg, device=options.device, num_parameters=num_parameters),
        "n": len(read.utterances),
        "num_speakers": len({u.speaker for u in read.utterances}),
        "hours": hours_of(read.entries, recognizer.sample_rate_hz),
        "language": spelling.language,
        "spelling": asdict(spelling),
        "spelling_from": spelling_from,
        "split": options.split,
        "asked": _asked(options),
        **provenance.labelled_minutes(recognizer.cfg, data),
        "num_updates": recognizer.num_updates,
        "num_unreadable": len(found.failures),
        **overlap(data, str(recognizer.cfg.dataset.train_subset), read, spelling),
        "train_s": provenance.training_seconds(train_log) if train_log else None,
        "decoders": by_decoder,
        **noise,
    }
    write_json(out / "config.json", provenance.plain(recognizer.cfg))
    for decoder in decoders:
        if weights_beside is not None and decoder.weights:
            write_lm_weights(weights_beside, decoder.weights)
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
