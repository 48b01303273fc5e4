"""Joint search by CTC and attention: against all transcripts and alignments of tiny clips."""

import math
from itertools import groupby, product

import pytest
import torch
from torch import Tensor

from fairseq_ext.decoding.ctc import BeamConfig, BeamSearch, greedy
from fairseq_ext.decoding.joint import END, JointConfig, JointSearch
from fairseq_ext.decoding.kneser_ney import train
from fairseq_ext.decoding.prefix_scores import PrefixScorer
from fairseq_ext.modules.attention_decoder import AttentionDecoder, DecoderConfig
from fairseq_ext.modules.padding import valid_mask

SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>", "▁a", "▁b", "c"]
TOKENS = (4, 5, 6)
LENGTHS = torch.tensor([4, 3, 1])


def frames(seed: int = 1) -> Tensor:
    torch.manual_seed(seed)
    scores = torch.randn(3, 4, len(SYMBOLS)).double() * 1.5
    scores[:, :, 1:4] = -math.inf
    return scores.log_softmax(2)


def decoder(seed: int = 1) -> AttentionDecoder:
    torch.manual_seed(seed)
    config = DecoderConfig(
        decoder_layers=1, decoder_embed_dim=8, decoder_ffn_embed_dim=8, decoder_attention_heads=2
    )
    made = AttentionDecoder(config, len(SYMBOLS), 5).double().eval()
    torch.nn.init.normal_(made.output.weight, std=1.0)
    return made


def all_ctc(log_probs: Tensor) -> dict[tuple[int, ...], float]:
    """Return transcript -> ln p, summed over every alignment of the frames (T, V)."""
    sums: dict[tuple[int, ...], float] = {}
    for path in product((0, *TOKENS), repeat=len(log_probs)):
        spelled = tuple(token for token, _ in groupby(path) if token)
        value = sum(float(log_probs[t, token]) for t, token in enumerate(path))
        sums[spelled] = sums.get(spelled, 0.0) + math.exp(value)
    return {tokens: math.log(total) for tokens, total in sums.items()}


@torch.no_grad()
def attention_score(model: AttentionDecoder, memory: Tensor, tokens: tuple[int, ...]) -> float:
    whole = torch.tensor([[0, *tokens]])
    logits = model(whole, memory, torch.ones(1, memory.shape[1], dtype=torch.bool))[0].log_softmax(1)
    return float(sum(logits[i, token] for i, token in enumerate((*tokens, END))))


def test_prefix_scores_sum_all_transcripts_that_begin_so() -> None:
    log_probs = frames()
    scorer = PrefixScorer(log_probs, LENGTHS)
    tokens = torch.tensor(TOKENS).expand(3, 1, -1)
    first = scorer.extend(scorer.start(), tokens)
    second = scorer.extend(
        first.select(torch.zeros(3, 2).long(), torch.tensor([[0, 2]] * 3)), tokens.expand(3, 2, -1)
    )
    for row, length in enumerate(LENGTHS.tolist()):
        known = all_ctc(log_probs[row, :length])
        for slot, begin in enumerate((4, 6)):
            for place, token in enumerate(TOKENS):
                expected = sum(math.exp(v) for t, v in known.items() if t[:2] == (begin, token))
                assert math.exp(float(second.score[row, slot, place])) == pytest.approx(expected, abs=1e-12)
        ends = PrefixScorer.whole(first.select(torch.zeros(3, 1).long(), torch.ones(3, 1).long()))
        assert float(ends[row, 0]) == pytest.approx(known.get((5,), -math.inf))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("weight", "bonus"), [(0.1, 0.0), (0.5, 0.7), (0.9, -0.3)])
def test_best_of_all_transcripts_is_found(seed: int, weight: float, bonus: float) -> None:
    log_probs, model, memory = frames(seed), decoder(seed), torch.randn(3, 4, 5).double()
    search = JointSearch(
        SYMBOLS, JointConfig(beam_size=60, ctc_weight=weight, length_bonus=bonus, num_best=2)
    )
    found = search(log_probs, LENGTHS, model, memory)
    for row, length in enumerate(LENGTHS.tolist()):
        scored = {}
        for tokens, ctc in all_ctc(log_probs[row, :length]).items():
            attention = attention_score(model, memory[row : row + 1, :length], tokens)
            scored[tokens] = weight * ctc + (1 - weight) * attention + bonus * len(tokens)
        ranked = sorted(scored, key=lambda tokens: -scored[tokens])[:2]
        assert [one.tokens for one in found[row]] == ranked
        assert [one.score for one in found[row]] == pytest.approx([scored[tokens] for tokens in ranked])


def test_ctc_alone_finds_the_same_as_the_other_search() -> None:
    log_probs = frames(3)
    ours = JointSearch(SYMBOLS, JointConfig(beam_size=60))(log_probs, LENGTHS)
    theirs = BeamSearch(SYMBOLS, BeamConfig(beam_size=60, min_token_log_prob=-99, skip_blank_prob=1))(
        log_probs, LENGTHS
    )
    for mine, other in zip(ours, theirs, strict=True):
        assert mine[0].text == other[0].text
        assert mine[0].ctc == pytest.approx(other[0].ctc)


def test_language_model_counts_as_in_the_other_search() -> None:
    lm = train(["a b", "b ac", "a b bc"], 2)
    for seed in range(4):
        log_probs = frames(seed)
        settings = {"beam_size": 60, "alpha": 0.8, "beta": 0.5, "unk_score": -2.0}
        ours = JointSearch(SYMBOLS, JointConfig(**settings), lm)(log_probs, LENGTHS)
        config = BeamConfig(**settings, min_token_log_prob=-99, skip_blank_prob=1)
        theirs = BeamSearch(SYMBOLS, config, lm)(log_probs, LENGTHS)
        for mine, other in zip(ours, theirs, strict=True):
            assert (mine[0].text, mine[0].lm) == (other[0].text, other[0].lm)
            assert mine[0].score == pytest.approx(other[0].score)


def test_a_clip_alone_gives_the_same() -> None:
    log_probs, model, memory = frames(2), decoder(2), torch.randn(3, 4, 5).double()
    search = JointSearch(SYMBOLS, JointConfig(beam_size=3, ctc_weight=0.3))
    together = search(log_probs, LENGTHS, model, memory)
    for row, length in enumerate(LENGTHS.tolist()):
        part = slice(row, row + 1)
        alone = search(log_probs[part, :length], LENGTHS[part], model, memory[part, :length])
        assert alone[0][0].tokens == together[row][0].tokens
        assert alone[0][0].score == pytest.approx(together[row][0].score)


def test_certain_frames_give_what_is_read_off_them() -> None:
    path = [0, 4, 4, 0, 4, 5, 0]
    log_probs = torch.full((1, 7, len(SYMBOLS)), -30.0).double()
    for t, token in enumerate(path):
        log_probs[0, t, token] = 0.0
    log_probs = log_probs.log_softmax(2)
    best = JointSearch(SYMBOLS)(log_probs, torch.tensor([7]))[0][0]
    assert best.text == greedy(log_probs, torch.tensor([7]), SYMBOLS)[0].text == "a a b"
    empty = JointSearch(SYMBOLS)(log_probs[:, :1], torch.tensor([0]))[0][0]
    assert (empty.text, empty.tokens) == ("", ())


def test_limits_and_settings() -> None:
    log_probs = frames(1)
    search = JointSearch(SYMBOLS, JointConfig(beam_size=60, length_bonus=20.0, max_tokens=2))
    assert [len(best[0].tokens) for best in search(log_probs, LENGTHS)] == [2, 2, 1]
    for wrong in ({"beam_size": 0}, {"ctc_weight": 1.5}, {"unk_score": 1.0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}: a value from"):
            JointSearch(SYMBOLS, JointConfig(**wrong))
    with pytest.raises(ValueError, match="log_probs of shape"):
        search(log_probs[:, :, :5], LENGTHS)


def test_masked_frames_are_not_attended_to() -> None:
    model, memory = decoder(4), torch.randn(3, 4, 5).double()
    search = JointSearch(SYMBOLS, JointConfig(beam_size=5, ctc_weight=0.2))
    noisy = memory.masked_fill(~valid_mask(LENGTHS, 4)[:, :, None], 9.0)
    first, second = (search(frames(4), LENGTHS, model, one) for one in (memory, noisy))
    assert [one[0].score for one in first] == pytest.approx([one[0].score for one in second])
