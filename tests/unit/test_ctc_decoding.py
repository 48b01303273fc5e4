"""CTC decoding: beam search equals the sum over all alignments, alone and in a batch; pruning changes little."""

import itertools
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from fairseq_ext.decoding.ctc import BeamConfig, BeamSearch, Hypothesis, greedy, text_of
from fairseq_ext.decoding.frames import thin_out
from fairseq_ext.decoding.fusion import Lexicon
from fairseq_ext.decoding.kneser_ney import train
from fairseq_ext.decoding.lm_weights import LmWeights
from fairseq_ext.decoding.ngram import NgramModel
from fairseq_ext.decoding.prior import mean_posterior
from fairseq_ext.decoding.tuning import Grid, Trial, tune
from fairseq_ext.text.scoring import count_all, total
from fairseq_ext.text.units import to_characters

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
LETTERS = [*SPECIAL, "|", "à", "ŀ"]
PIECES = [*SPECIAL, "▁à", "ŀ", "▁"]
EXACT = BeamConfig(beam_size=1200, min_token_log_prob=-math.inf, skip_blank_prob=1.0, num_best=1000)
LM = train(["à ŀ", "à àŀ", "ŀà à", "à ŀ à"], order=3)
CATALAN = [*SPECIAL, "|", *"aceilmnoprstuçàéŀ'"]
SENTENCES = [
    "la plaça és plena",
    "el coŀlapse no passa mai",
    "allà al port n'entren molts",
    "mare meua",
]


def noise(num: int, num_frames: int, num_symbols: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (1.5 * torch.randn(num, num_frames, num_symbols, generator=generator)).log_softmax(-1)


def spoken(text: str, symbols: list[str], num_frames: int, seed: int, sharpness: float = 8.0) -> Tensor:
    """Make noise with the units of a text in every third frame and blanks elsewhere; (num_frames, V)."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(num_frames, len(symbols), generator=generator)
    tokens = [symbols.index(unit) for unit in to_characters(text)]
    path = torch.zeros(num_frames, dtype=torch.long)
    path[torch.arange(len(tokens)) * 3 + 1] = torch.tensor(tokens, dtype=torch.long)
    logits[torch.arange(num_frames), path] += sharpness
    return logits.log_softmax(-1)


def batch_of(texts: list[str], symbols: list[str], sharpness: float = 8.0) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([3 * len(to_characters(text)) + 5 for text in texts])
    log_probs = torch.zeros(len(texts), int(lengths.max()), len(symbols))
    for i, (text, length) in enumerate(zip(texts, lengths.tolist(), strict=True)):
        log_probs[i, :length] = spoken(text, symbols, length, seed=i, sharpness=sharpness)
    return log_probs, lengths


def all_texts(log_probs: Tensor, symbols: list[str]) -> dict[str, float]:
    """Return ln p of every text, summed over all alignments."""
    texts: dict[str, float] = {}
    rows = log_probs.double().tolist()
    for path in itertools.product([0, *range(4, len(symbols))], repeat=len(rows)):
        units = [symbol for symbol, _ in itertools.groupby(path) if symbol]
        text = text_of(units, symbols)
        log_prob = sum(row[symbol] for row, symbol in zip(rows, path, strict=True))
        texts[text] = float(np.logaddexp(texts.get(text, -math.inf), log_prob))
    return texts


def lm_bonus(text: str, lm: NgramModel, config: BeamConfig) -> float:
    words = text.split()
    num_oov = sum(word not in lm.ids for word in words)
    return config.alpha * lm.score_words(words) + config.beta * len(words) + config.unk_score * num_oov


def assert_close(first: list[list[Hypothesis]], second: list[list[Hypothesis]]) -> None:
    for one, other in zip(first, second, strict=True):
        assert [(h.text, h.tokens) for h in one] == [(h.text, h.tokens) for h in other]
        np.testing.assert_allclose([h.score for h in one], [h.score for h in other], atol=1e-9)


@pytest.mark.parametrize("symbols", [LETTERS, PIECES])
def test_wide_beam_sums_all_alignments(symbols: list[str]) -> None:
    log_probs = noise(2, 5, len(symbols))
    found = BeamSearch(symbols, EXACT)(log_probs, torch.tensor([5, 3]))
    for row, length, hypotheses in zip(log_probs, (5, 3), found, strict=True):
        expected = all_texts(row[:length], symbols)
        assert {h.text for h in hypotheses} == set(expected)
        for h in hypotheses:
            assert h.ctc == pytest.approx(expected[h.text], abs=1e-9)
            assert (h.score, h.lm) == (h.ctc, 0)
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)


@pytest.mark.parametrize("symbols", [LETTERS, PIECES])
@pytest.mark.parametrize("weights", [(0.7, 1.3, 0.0), (1.5, -0.5, -2.5), (0.0, 0.0, -4.0)])
def test_wide_beam_with_language_model_equals_brute_force(
    symbols: list[str], weights: tuple[float, float, float]
) -> None:
    config = replace(EXACT, alpha=weights[0], beta=weights[1], unk_score=weights[2])
    log_probs = noise(1, 5, len(symbols), seed=2)
    expected = {text: p + lm_bonus(text, LM, config) for text, p in all_texts(log_probs[0], symbols).items()}
    (found,) = BeamSearch(symbols, config, LM)(log_probs, torch.tensor([5]))
    assert any(word not in LM.ids for text in expected for word in text.split())
    assert {h.text for h in found} == set(expected)
    for h in found:
        assert h.score == pytest.approx(expected[h.text], abs=1e-9)
        assert h.score == pytest.approx(h.ctc + lm_bonus(h.text, LM, config), abs=1e-9)
        assert h.lm == pytest.approx(LM.score_words(h.text.split()))
    assert found[0].text == max(expected, key=lambda text: expected[text])


@pytest.mark.parametrize("lm", [None, LM])
def test_narrow_beam_never_sums_more_than_there_is(lm: NgramModel | None) -> None:
    """Prefixes that leave the beam and come back must not count twice."""
    for seed in range(20):
        log_probs = noise(1, 6, len(LETTERS), seed)
        expected = all_texts(log_probs[0], LETTERS)
        for size in (1, 2, 3, 8):
            config = replace(EXACT, beam_size=size)
            (found,) = BeamSearch(LETTERS, config, lm)(log_probs, torch.tensor([6]))
            assert 1 <= len(found) <= size
            assert all(h.ctc <= expected[h.text] + 1e-9 for h in found)


def test_greedy_is_the_collapsed_best_path() -> None:
    log_probs = noise(8, 30, len(LETTERS))
    lengths = torch.tensor([30, 12, 1, 0, 29, 7, 30, 3])
    for row, length, found in zip(
        log_probs, lengths.tolist(), greedy(log_probs, lengths, LETTERS), strict=True
    ):
        allowed = row[:length, [0, 4, 5, 6]]
        path = [[0, 4, 5, 6][i] for i in allowed.argmax(-1).tolist()]
        assert found.tokens == tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)
        assert found.text == text_of(found.tokens, LETTERS)
        assert found.score == found.ctc == pytest.approx(float(allowed.max(-1).values.sum()), abs=1e-5)


def test_special_symbols_are_never_emitted() -> None:
    log_probs = noise(2, 10, len(LETTERS))
    log_probs[:, :, 1:4] = 5.0
    log_probs = log_probs.log_softmax(-1)
    lengths = torch.tensor([10, 10])
    assert all(token >= 4 for h in greedy(log_probs, lengths, LETTERS) for token in h.tokens)
    found = BeamSearch(LETTERS, replace(EXACT, beam_size=8, num_best=8))(log_probs, lengths)
    assert all(token >= 4 for row in found for h in row for token in h.tokens)


@pytest.mark.parametrize("with_lm", [False, True])
def test_a_batch_gives_the_results_of_its_utterances(with_lm: bool) -> None:
    lm = train(SENTENCES, 3) if with_lm else None
    search = BeamSearch(CATALAN, BeamConfig(beam_size=16, num_best=4, skip_blank_prob=0.98), lm)
    log_probs, lengths = batch_of(SENTENCES, CATALAN, sharpness=5.0)
    log_probs[0, int(lengths[0]) :] = math.nan  # what lies behind the end must not be looked at
    with pytest.raises(ValueError, match="NaN"):
        search(log_probs, torch.full_like(lengths, log_probs.shape[1]))
    alone = [
        search(row[None, :length], torch.tensor([length]))[0]
        for row, length in zip(log_probs, lengths.tolist(), strict=True)
    ]
    assert_close(search(log_probs, lengths), alone)
    alone_greedy = [
        greedy(row[None, :length], torch.tensor([length]), CATALAN)
        for row, length in zip(log_probs, lengths.tolist(), strict=True)
    ]
    assert_close([[h] for h in greedy(log_probs, lengths, CATALAN)], alone_greedy)


def test_clear_speech_is_decoded_letter_by_letter() -> None:
    texts = ["la plaça", "és al coŀlapse", "a e", ""]
    log_probs, lengths = batch_of(texts, CATALAN)
    assert [h.text for h in greedy(log_probs, lengths, CATALAN)] == texts
    assert [h[0].text for h in BeamSearch(CATALAN)(log_probs, lengths)] == texts
    first = BeamSearch(CATALAN)(log_probs, lengths)[0][0]
    assert first.text.encode() == "la plaça".encode()
    assert [CATALAN[token] for token in first.tokens] == to_characters("la plaça")


def test_skipped_blanks_change_little_and_save_frames() -> None:
    log_probs, lengths = batch_of(SENTENCES, CATALAN, sharpness=12.0)
    frames = thin_out(log_probs, lengths, min_token_log_prob=-7.0, skip_blank_prob=0.999)
    assert len(frames.log_probs) < 0.75 * log_probs.shape[1]  # one blank of two goes
    assert np.all((frames.skipped < 0) & (frames.skipped > -0.1))
    whole = BeamSearch(CATALAN, BeamConfig(skip_blank_prob=1.0, num_best=3))(log_probs, lengths)
    short = BeamSearch(CATALAN, BeamConfig(skip_blank_prob=0.999, num_best=3))(log_probs, lengths)
    for one, other in zip(whole, short, strict=True):
        assert one[0].text == other[0].text
        assert one[0].score == pytest.approx(other[0].score, abs=0.01)


def test_a_repeated_letter_survives_skipped_blanks() -> None:
    path = [5, 0, 0, 0, 5, 0, 0, 4, 4]
    log_probs = torch.full((1, len(path), len(LETTERS)), -20.0)
    log_probs[0, range(len(path)), path] = -1e-8
    (found,) = BeamSearch(LETTERS, BeamConfig(skip_blank_prob=0.99))(log_probs, torch.tensor([len(path)]))
    assert found[0].text == "àà"
    assert found[0].tokens == (5, 5, 4)


def test_pruned_symbols_change_little() -> None:
    log_probs, lengths = batch_of(SENTENCES, CATALAN, sharpness=6.0)
    every = BeamSearch(CATALAN, BeamConfig(min_token_log_prob=-math.inf))(log_probs, lengths)
    pruned = BeamSearch(CATALAN, BeamConfig())(log_probs, lengths)
    for one, other in zip(every, pruned, strict=True):
        assert one[0].text == other[0].text
        assert one[0].score == pytest.approx(other[0].score, abs=0.2)


def test_language_model_decides_between_what_sounds_alike() -> None:
    lm = train(["la casa nova", "la casa gran", "el cas"] * 3, 3)
    symbols = [*SPECIAL, "|", *sorted(set("".join(lm.words[3:]) + "z"))]
    log_probs = spoken("la caza nova", symbols, 60, seed=1)[None]
    lengths = torch.tensor([60])
    z, s = symbols.index("z"), symbols.index("s")
    frame = int(log_probs[0, :, z].argmax())
    log_probs[0, frame, s] = log_probs[0, frame, z] - 0.5
    assert BeamSearch(symbols)(log_probs, lengths)[0][0].text == "la caza nova"
    assert BeamSearch(symbols, lm=lm)(log_probs, lengths)[0][0].text == "la casa nova"
    none = BeamSearch(symbols, BeamConfig(alpha=0.0, beta=0.0, unk_score=0.0), lm)
    assert none(log_probs, lengths)[0][0].text == "la caza nova"
    closed = none.reweighted(unk_score=-1000.0)
    assert closed(log_probs, lengths)[0][0].text == "la casa nova"


def test_lexicon_spells_pieces_and_letters_alike() -> None:
    for symbols, tokens in ((LETTERS, [5, 6]), (PIECES, [4, 5]), (PIECES, [6, 4, 5])):
        lexicon = Lexicon(LM, symbols)
        node = np.zeros(1, dtype=np.int64)
        for token in tokens:
            node = lexicon.spell(node, np.array([token]))
        assert LM.words[lexicon.word_at[node[0]]] == "àŀ"


@pytest.mark.parametrize(
    ("log_probs", "lengths", "message"),
    [
        (torch.zeros(2, 5, 6), [5, 5], r"shape \(B, T, 7\) expected, found \(2, 5, 6\)"),
        (torch.zeros(5, 7), [5], r"shape \(B, T, 7\)"),
        (torch.zeros(2, 5, 7), [5, 6], "lengths from 0 to 5"),
        (torch.zeros(2, 5, 7), [5], "2 lengths"),
        (torch.ones(2, 5, 7), [5, 5], "log_softmax"),
    ],
)
def test_bad_input_is_refused(log_probs: Tensor, lengths: list[int], message: str) -> None:
    for decode in (BeamSearch(LETTERS), lambda *batch: greedy(*batch, LETTERS)):
        with pytest.raises(ValueError, match=message):
            decode(log_probs, torch.tensor(lengths))


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="beam_size: a value from 1"):
        BeamSearch(LETTERS, BeamConfig(beam_size=0))
    with pytest.raises(ValueError, match="unk_score"):
        BeamSearch(LETTERS, BeamConfig(unk_score=1.0))
    with pytest.raises(ValueError, match="normalise the text of the model"):
        BeamSearch(LETTERS, lm=train(["HOLA MÓN"]))
    with pytest.raises(ValueError, match="spans several words"):
        BeamSearch([*SPECIAL, "▁à▁ŀ"], lm=LM)
    with pytest.raises(ValueError, match="no symbols after the 4 special ones"):
        greedy(torch.zeros(1, 2, 4), torch.tensor([2]), SPECIAL)


def test_tuning_finds_the_weights_with_the_fewest_errors() -> None:
    lm = train(SENTENCES * 2, 3)
    batch = batch_of(SENTENCES, CATALAN, sharpness=3.0)
    search = BeamSearch(CATALAN, lm=lm)
    told: list[Trial] = []
    grid = Grid([0.0, 0.5, 1.0], [0.0, 2.0], [0.0, -1.0])
    tuning = tune(search, [batch], SENTENCES, grid, on_trial=told.append)
    assert tuple(told) == tuning.trials
    tried = [(t.weights.alpha, t.weights.beta, t.weights.unk_score) for t in tuning.trials]
    assert tried[:6] == list(itertools.product([0.0, 0.5, 1.0], [0.0, 2.0], [-1.0]))
    assert len(tried) == len(set(tried))
    assert tuning.best.errors.errors == min(t.errors.errors for t in tuning.trials)
    assert tuning.best.errors.rate < tuning.trials[0].errors.rate
    assert all(t.errors.num_reference == sum(len(text.split()) for text in SENTENCES) for t in tuning.trials)
    again = search.reweighted(**asdict(tuning.best.weights))(*batch)
    assert total(count_all(SENTENCES, [best[0].text for best in again])) == tuning.best.errors


def test_tuning_ends_where_no_neighbour_of_the_best_weights_is_better() -> None:
    batch = batch_of(SENTENCES, CATALAN, sharpness=3.5)
    search = BeamSearch(CATALAN, lm=train(SENTENCES * 2, 3))
    start = ([0.0, 0.1], [0.0, 0.5], [0.0, -0.5])
    still = tune(search, [batch], SENTENCES, Grid(*start, most=(0.1, 0.5, -0.5)))
    assert len(still.trials) <= 8
    assert still.best.weights != LmWeights(0.0, 0.0, 0.0)
    tuning = tune(search, [batch], SENTENCES, Grid(*start, most=(2.0, 6.0, -6.0)))
    assert tuning.best.errors.errors < still.best.errors.errors
    best, *tried = (asdict(t.weights) for t in (tuning.best, *tuning.trials))
    for weights in (best, *tried):
        assert weights.pop("log_prior") == ()
    for name, most, step in (("alpha", 2.0, 0.1), ("beta", 6.0, 0.5), ("unk_score", -6.0, -0.5)):
        wider = best | {name: best[name] + step}
        is_tried = any(other == pytest.approx(wider) for other in tried)
        assert is_tried or abs(wider[name]) > abs(most)
    single = tune(search, [batch], SENTENCES, Grid([0.1], [0.5], [0.0]))
    assert len(single.trials) == 1


def test_unknown_words_cost_more_than_known_ones() -> None:
    lm = train(["la plaça", "la mare", "mare meua"], 2)
    batch = batch_of(["la plaçi"], CATALAN, sharpness=4.5)
    free, priced = (BeamSearch(CATALAN, BeamConfig(unk_score=price), lm) for price in (0.0, -10.0))
    assert [found[0].text for search in (free, priced) for found in search(*batch)] == [
        "la plaçi",
        "la plaça",
    ]


def test_tuning_refuses_what_it_cannot_tune() -> None:
    batch = batch_of(SENTENCES, CATALAN)
    with pytest.raises(ValueError, match="no language model; pass lm="):
        tune(BeamSearch(CATALAN), [batch], SENTENCES)
    search = BeamSearch(CATALAN, lm=train(SENTENCES))
    with pytest.raises(ValueError, match="no value to try"):
        tune(search, [batch], SENTENCES, Grid(alphas=[]))
    with pytest.raises(ValueError, match="the references have no words"):
        tune(search, [batch], [""] * 4)
    with pytest.raises(ValueError, match="argument 2 is longer"):
        tune(search, [batch], SENTENCES[:3])


def test_without_its_prior_a_network_names_what_it_seldom_writes() -> None:
    """Three of four frames are sure of the blank, and the other hears an `à`, but less than the blank."""
    silent = torch.log_softmax(torch.tensor([2.0, -9, -9, -9, -1.0, 0.0, -1.0]), -1)
    heard = torch.log_softmax(torch.tensor([2.0, -9, -9, -9, 1.5, 0.0, -1.0]), -1)
    batch = torch.stack([silent, silent, heard, silent])[None], torch.tensor([4])
    prior = mean_posterior([batch])
    assert prior.exp().sum().item() == pytest.approx(1)
    search = BeamSearch(LETTERS, replace(EXACT, num_best=1))
    assert search(*batch)[0][0].text == ""
    without = search.reweighted(prior_scale=0.6, log_prior=tuple(prior.tolist()))
    (best,) = without(*batch)[0]
    assert best.text == "à"
    by_hand = torch.log_softmax(batch[0].double() - 0.6 * prior, -1)
    assert best.ctc == pytest.approx(all_texts(by_hand[0], LETTERS)["à"], abs=1e-9)


def test_padding_and_other_batches_leave_the_prior_as_it_is() -> None:
    log_probs = noise(2, 5, len(LETTERS))
    padded = torch.cat([log_probs, torch.full((2, 3, len(LETTERS)), math.nan)], 1)
    rows = [(log_probs[:1], torch.tensor([5])), (log_probs[1:, :3], torch.tensor([3]))]
    expected = mean_posterior(rows)
    torch.testing.assert_close(mean_posterior([(padded, torch.tensor([5, 3]))]), expected)
    certain = torch.full((1, 4, 7), -math.inf)
    certain[..., 0] = 0.0
    assert mean_posterior([(certain, torch.tensor([4]))]).isfinite().all()


def test_prior_of_other_symbols_is_refused() -> None:
    for prior in ((), (-1.0, -2.0)):
        with pytest.raises(ValueError, match=r"a log_prior of 7 values expected, one per symbol, found [02]"):
            BeamSearch(LETTERS, BeamConfig(prior_scale=0.3, log_prior=prior))
    with pytest.raises(ValueError, match="prior_scale: a value from 0"):
        BeamSearch(LETTERS, BeamConfig(prior_scale=1.5))


def test_tuning_chooses_the_scale_of_the_prior() -> None:
    """A network that writes blanks where it is unsure needs its prior taken off, one that does not needs nothing."""
    lm = train(SENTENCES * 2, 3)
    log_probs, lengths = batch_of(SENTENCES, CATALAN, sharpness=6.0)
    shy = log_probs.clone()
    shy[..., 0] += 5.0
    shy = shy.log_softmax(-1)
    grid = Grid([0.5], [0.0], [-1.0], [0.0, 0.2, 0.4])
    search = BeamSearch(CATALAN, lm=lm)
    plain, chosen = (tune(search, [(shy, lengths)], SENTENCES, g) for g in (Grid([0.5], [0.0], [-1.0]), grid))
    assert chosen.best.errors.errors < plain.best.errors.errors
    assert chosen.best.weights.prior_scale > 0
    assert chosen.best.weights.log_prior == tuple(mean_posterior([(shy, lengths)]).tolist())
    assert chosen.trials[0].weights.prior_scale == 0.2
    sure = tune(search, [(log_probs, lengths)], SENTENCES, grid).best
    assert sure.errors.errors == 0
    assert sure.weights == LmWeights(0.5, 0.0, -1.0)
