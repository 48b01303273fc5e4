"""Speed of CTC decoding on one core: greedy, our prefix beam search, and the textbook's in plain Python.

Log-probabilities are made up: `peaky` ones are as a trained recogniser's (most frames blank, one letter at a time, some
of them unsure), `flat` ones are noise, the worst case, where every letter is open in every frame. The textbook's search
(Hannun et al. 2014, algorithm 1, prefixes as tuples in a dictionary) prunes letters by the same threshold and sees all
frames. RTF is CPU seconds of decoding per second of audio at 50 frames per second; "same" is the share of texts that
equal the textbook's; the word error rate is against the made-up truth; the language model knows other sentences only.
"""

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch

from fairseq_ext.decoding.ctc import BeamConfig, BeamSearch, greedy, text_of
from fairseq_ext.decoding.kneser_ney import train
from fairseq_ext.text.scoring import count_all, total
from fairseq_ext.text.units import to_characters

FRAMES_PER_S = 50
LETTERS = "abcdefghijklmnopqrstuvwxyzàçèéíïòóúü·'-ŀñ"
SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>", "|", *LETTERS]
VOCABULARY = 20_000


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of an utterance (default: 10)")
    parser.add_argument("--utterances", type=int, default=16, help="how many (default: 16)")
    parser.add_argument("--beam", type=int, default=32, help="hypotheses (default: 32)")
    return parser.parse_args()


def make_texts(num: int, rng: np.random.Generator) -> list[str]:
    """Sentences of ten words, whose frequencies fall as those of real words."""
    words = ["".join(rng.choice(list(LETTERS), size=rng.integers(1, 10))) for _ in range(VOCABULARY)]
    ranks = np.minimum(rng.zipf(1.3, size=(num, 10)), VOCABULARY) - 1
    return [" ".join(words[rank] for rank in row) for row in ranks]


def peaky(text: str, num_frames: int, rng: np.random.Generator) -> torch.Tensor:
    """One frame per letter, blanks between; every eighth letter is unsure between two."""
    units = [SYMBOLS.index(unit) for unit in to_characters(text)][: num_frames // 2]
    logits = rng.normal(0, 1, size=(num_frames, len(SYMBOLS)))
    logits[:, 0] += 14
    at = np.sort(rng.choice(num_frames // 2, size=len(units), replace=False)) * 2
    logits[at, 0] -= 14
    logits[at, units] += 12
    unsure = rng.random(len(units)) < 1 / 8
    logits[at[unsure], rng.integers(4, len(SYMBOLS), size=unsure.sum())] += 11
    return torch.from_numpy(logits).float().log_softmax(-1)


def textbook(log_probs: np.ndarray, beam_size: int, min_log_prob: float) -> list[int]:
    """Prefix beam search as printed, in ln p."""
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}
    for frame in log_probs.tolist():
        grown: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [-math.inf, -math.inf])
        candidates = [c for c in range(4, len(frame)) if frame[c] >= min_log_prob]
        for prefix, (blank, symbol) in beam.items():
            total = add(blank, symbol)
            entry = grown[prefix]
            entry[0] = add(entry[0], total + frame[0])
            if prefix:
                entry[1] = add(entry[1], symbol + frame[prefix[-1]])
            for c in candidates:
                longer = grown[(*prefix, c)]
                before = blank if prefix and prefix[-1] == c else total
                longer[1] = add(longer[1], before + frame[c])
        best = sorted(grown.items(), key=lambda item: -add(*item[1]))[:beam_size]
        beam = {prefix: (blank, symbol) for prefix, (blank, symbol) in best}
    return list(max(beam, key=lambda prefix: add(*beam[prefix])))


def add(a: float, b: float) -> float:
    """ln(e^a + e^b)."""
    if a < b:
        a, b = b, a
    return a if b == -math.inf else a + math.log1p(math.exp(b - a))


def one_by_one(
    decode: Callable[[torch.Tensor, torch.Tensor], list[str]], batch: torch.Tensor
) -> Callable[[], list[str]]:
    """Decode each utterance on its own."""
    return lambda: [decode(row[None], torch.tensor([len(row)]))[0] for row in batch]


def systems(
    batch: torch.Tensor, args: argparse.Namespace, lm_texts: list[str]
) -> dict[str, Callable[[], list[str]]]:
    """Return the functions to measure, by name."""
    config = BeamConfig(beam_size=args.beam)
    plain = BeamSearch(SYMBOLS, config)
    every_frame = plain.reweighted(skip_blank_prob=1.0)
    with_lm = BeamSearch(SYMBOLS, config, train(lm_texts, 3))
    lengths = torch.full((len(batch),), batch.shape[1])

    def best(search: BeamSearch) -> Callable[[torch.Tensor, torch.Tensor], list[str]]:
        return lambda log_probs, lengths: [found[0].text for found in search(log_probs, lengths)]

    return {
        "textbook": lambda: [
            text_of(textbook(row.numpy(), args.beam, config.min_token_log_prob), SYMBOLS) for row in batch
        ],
        "greedy": lambda: [found.text for found in greedy(batch, lengths, SYMBOLS)],
        "beam, every frame, one by one": one_by_one(best(every_frame), batch),
        "beam, one by one": one_by_one(best(plain), batch),
        "beam, in a batch": lambda: best(plain)(batch, lengths),
        "beam + 3-gram, one by one": one_by_one(best(with_lm), batch),
        "beam + 3-gram, in a batch": lambda: best(with_lm)(batch, lengths),
    }


def main() -> None:
    """Draw the log-probabilities, measure the decoders and print the times."""
    args = parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    texts = make_texts(20_000, rng)
    num_frames = round(args.seconds * FRAMES_PER_S)
    chosen = [" ".join(texts[2 * i : 2 * i + 2]) for i in range(args.utterances)]
    batches = {
        "peaky": torch.stack([peaky(text, num_frames, rng) for text in chosen]),
        "flat": torch.from_numpy(rng.normal(size=(args.utterances, num_frames, len(SYMBOLS))))
        .float()
        .log_softmax(-1),
    }
    print(
        f"{args.utterances} utterances of {args.seconds:g} s, {len(SYMBOLS)} symbols, beam {args.beam}, one core"
    )
    print(f"{'':39}{'RTF':>9}{'speed-up':>10}{'same':>7}{'WER':>8}")
    for name, batch in batches.items():
        reference: tuple[float, list[str]] | None = None
        for system, decode in systems(batch, args, texts[2 * args.utterances :]).items():
            start = time.process_time()
            found = decode()
            rtf = (time.process_time() - start) / (args.seconds * args.utterances)
            reference = reference or (rtf, found)
            same = sum(a == b for a, b in zip(reference[1], found, strict=True)) / len(found)
            wer = f"{total(count_all(chosen, found)).rate:8.1%}" if name == "peaky" else ""
            print(f"{name:7}{system:32}{rtf:9.5f}{reference[0] / rtf:9.1f}x{same:7.0%}{wer}")


if __name__ == "__main__":
    main()
