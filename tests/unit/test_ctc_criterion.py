"""The CTC criterion: sums and counts that add up over batches and ranks, and what happens at the edges."""

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fairseq.logging import metrics
from torch import Tensor, nn

from fairseq_ext.criterions.ctc import ExtCtcCriterion, ctc_losses, infeasible
from fairseq_ext.data.labels import PAD, SPECIAL_SYMBOLS
from fairseq_ext.text.scoring import count_errors

SYMBOLS = [*SPECIAL_SYMBOLS, "|", *"abçàŀ"]
TEXTS = ["aç|ŀà|", "aa|", "b|", ""]
Batch = dict[str, Any]


class Given(nn.Module):
    """Hands on the logits that are its input: the criterion is what is tested."""

    def forward(self, logits: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        return {"logits": logits, "lengths": lengths}


def tokens_of(text: str) -> Tensor:
    """Numbers of a text's letters."""
    return torch.tensor([SYMBOLS.index(letter) for letter in text], dtype=torch.long)


@pytest.fixture
def batch() -> Batch:
    """Four transcripts over frames of noise."""
    generator = torch.Generator().manual_seed(1)
    tokens = [tokens_of(text) for text in TEXTS]
    sizes = torch.tensor([len(row) for row in tokens])
    return {
        "net_input": {
            "logits": 3 * torch.randn(4, 12, len(SYMBOLS), generator=generator),
            "lengths": torch.tensor([12, 9, 5, 3]),
        },
        "target": nn.utils.rnn.pad_sequence(tokens, batch_first=True, padding_value=PAD),
        "target_lengths": sizes,
        "nsentences": 4,
        "ntokens": int(sizes.sum()),
    }


def rows_of(batch: Batch, *rows: int) -> Batch:
    """Part of a batch."""
    chosen = list(rows)
    sizes = batch["target_lengths"][chosen]
    return {
        "net_input": {name: value[chosen] for name, value in batch["net_input"].items()},
        "target": batch["target"][chosen],
        "target_lengths": sizes,
        "nsentences": len(chosen),
        "ntokens": int(sizes.sum()),
    }


Make = Callable[..., ExtCtcCriterion]


@pytest.fixture
def make() -> Make:
    def build(zero_infinity: bool = True, sentence_avg: bool = False) -> ExtCtcCriterion:
        return ExtCtcCriterion(SimpleNamespace(symbols=SYMBOLS), zero_infinity, sentence_avg)

    return build


def test_loss_is_the_sum_over_all_paths(batch: Batch) -> None:
    # 3 frames and 2 tokens over 10 symbols: every path can be listed
    log_probs = batch["net_input"]["logits"][2:3, :3].log_softmax(2)
    target = tokens_of("b|")
    total = torch.tensor(0.0)
    for path in itertools.product(range(len(SYMBOLS)), repeat=3):
        if [s for s, _ in itertools.groupby(path) if s] == target.tolist():
            total += sum(log_probs[0, t, s] for t, s in enumerate(path)).exp()
    found = ctc_losses(log_probs, torch.tensor([3]), target[None], torch.tensor([2]), False)
    torch.testing.assert_close(found[0], -total.log())


def test_batches_and_ranks_add_up(batch: Batch, make: Make) -> None:
    criterion, model = make(), Given().eval()
    loss, count, whole = criterion(model, batch)
    parts = [criterion(model, rows_of(batch, *rows)) for rows in ((0, 2), (1, 3))]
    torch.testing.assert_close(sum(part[0] for part in parts), loss)
    assert sum(part[1] for part in parts) == count == 11
    for name, value in whole.items():
        assert float(sum(part[2][name] for part in parts)) == pytest.approx(float(value)), name
    assert len({tuple(part[2]) for part in parts}) == 1  # the ranks add them entry by entry


def test_padding_does_not_count(batch: Batch, make: Make) -> None:
    changed = {**batch, "net_input": {**batch["net_input"], "logits": batch["net_input"]["logits"].clone()}}
    for row, length in enumerate(batch["net_input"]["lengths"].tolist()):
        changed["net_input"]["logits"][row, length:] = 50.0
    torch.testing.assert_close(make()(Given(), changed)[0], make()(Given(), batch)[0])


def test_errors_are_those_of_greedy_decoding(batch: Batch, make: Make) -> None:
    _, _, logged = make()(Given().eval(), batch)
    hypotheses = []
    for logits, length in zip(*batch["net_input"].values(), strict=True):
        path = [s if s == 0 or s > 3 else 0 for s in possible(logits[:length])]
        hypotheses.append("".join(SYMBOLS[s] for s, _ in itertools.groupby(path) if s).replace("|", " "))
    words = [
        count_errors(t.replace("|", " ").split(), a.split()) for t, a in zip(TEXTS, hypotheses, strict=True)
    ]
    letters = [
        count_errors(" ".join(t.replace("|", " ").split()), " ".join(a.split()))
        for t, a in zip(TEXTS, hypotheses, strict=True)
    ]
    assert logged["num_words"] == sum(c.num_reference for c in words) == 4
    assert logged["word_errors"] == sum(c.errors for c in words) > 0
    assert logged["num_characters"] == sum(c.num_reference for c in letters) == 8
    assert logged["character_errors"] == sum(c.errors for c in letters)


def possible(logits: Tensor) -> list[int]:
    """Likeliest symbol per frame, of those that are ever emitted."""
    kept = logits.clone()
    kept[:, 1:4] = float("-inf")
    found: list[int] = kept.argmax(1).tolist()
    return found


def test_certain_answer_has_no_errors_byte_for_byte(make: Make) -> None:
    path = tokens_of("aç|ŀà|")
    logits = torch.full((1, 6, len(SYMBOLS)), -20.0).scatter(2, path[None, :, None], 20.0)
    batch = {
        "net_input": {"logits": logits, "lengths": torch.tensor([6])},
        "target": path[None],
        "target_lengths": torch.tensor([6]),
        "nsentences": 1,
        "ntokens": 6,
    }
    loss, _, logged = make()(Given().eval(), batch)
    assert float(loss) < 1e-4
    assert (logged["word_errors"], logged["num_words"]) == (0, 2)
    assert (logged["character_errors"], logged["num_characters"]) == (0, 5)


def test_no_decoding_while_training(batch: Batch, make: Make) -> None:
    _, _, logged = make()(Given().train(), batch)
    assert "num_words" not in logged


def test_impossible_transcripts_cost_nothing_and_are_counted(batch: Batch, make: Make) -> None:
    batch["net_input"]["lengths"] = torch.tensor(
        [5, 3, 0, 0]
    )  # too short, too short for "aa|", nothing, nothing
    batch["net_input"]["logits"].requires_grad_(True)
    loss, _, logged = make()(Given(), batch)
    assert int(logged["num_infeasible"]) == 3
    loss.backward()
    gradient = batch["net_input"]["logits"].grad
    assert gradient.isfinite().all()
    assert gradient.abs().sum() == 0
    assert make(zero_infinity=False)(Given(), batch)[0].isinf()


def test_nothing_is_infeasible_where_nothing_is_asked() -> None:
    nothing = infeasible(torch.tensor([5, 0]), torch.zeros(2, 0, dtype=torch.long), torch.tensor([0, 0]))
    assert nothing.tolist() == [False, False]


def test_infeasible_agrees_with_the_loss() -> None:
    generator = torch.Generator().manual_seed(2)
    target = torch.randint(4, 7, (300, 6), generator=generator)
    sizes = torch.randint(0, 7, (300,), generator=generator)
    lengths = torch.randint(0, 10, (300,), generator=generator)
    log_probs = torch.zeros(300, 9, len(SYMBOLS)).log_softmax(2)
    found = infeasible(lengths, target, sizes)
    assert found.tolist() == ctc_losses(log_probs, lengths, target, sizes, False).isinf().tolist()
    assert 0 < found.sum() < 300


def test_batch_that_could_not_be_read_has_no_weight(batch: Batch, make: Make) -> None:
    empty = {**rows_of(batch, 3, 3), "nsentences": 0, "ntokens": 0}
    for average in (False, True):
        loss, count, logged = make(sentence_avg=average)(Given().eval(), empty)
        assert (float(loss), count) == (0.0, 0)
        assert not any(float(value) for value in logged.values())


def test_half_precision_is_summed_in_single(batch: Batch, make: Make) -> None:
    exact = make()(Given(), batch)[0]
    batch["net_input"]["logits"] = batch["net_input"]["logits"].bfloat16()
    found = make()(Given(), batch)[0]
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(exact), rel=2e-2)


def logged_values(outputs: list[dict[str, Any]]) -> dict[str, float]:
    """Return what fairseq would print."""
    with metrics.aggregate(new_root=True) as aggregator:
        for output in outputs:
            ExtCtcCriterion.reduce_metrics([output])
    return dict(aggregator.get_smoothed_values())


def test_rates_are_of_the_whole_split_not_means_of_batches(batch: Batch, make: Make) -> None:
    criterion, model = make(), Given().eval()
    whole = logged_values([criterion(model, batch)[2]])
    parts = logged_values([criterion(model, rows_of(batch, *rows))[2] for rows in ((0,), (1, 2, 3))])
    assert parts["wer"] == pytest.approx(whole["wer"], abs=1e-2)
    assert parts["cer"] == pytest.approx(whole["cer"], abs=1e-2)
    assert parts["nll_loss"] == pytest.approx(whole["nll_loss"], abs=1e-3)
    assert {"wer", "cer", "loss", "num_infeasible"} <= set(whole)
    assert "wer" not in logged_values([criterion(Given().train(), batch)[2]])
