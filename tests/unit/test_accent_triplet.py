"""`ext_accent_triplet`: terms and their weights, what ranks add up, batches without weight, missing heads."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fairseq.logging import metrics
from torch import nn

from fairseq_ext.criterions.accent_triplet import TERMS, AccentTripletConfig, AccentTripletCriterion


class Encoder(nn.Module):
    """Gives stored vectors, and a head for each term."""

    def __init__(self, size: int = 6, heads: bool = True) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.vectors = nn.Parameter(torch.randn(size, 4, generator=generator))
        self.heads = heads

    def group_weights(self) -> dict[str, float]:
        return {"mel": 0.7, "mfcc": 0.3}

    def forward(self, rows: torch.Tensor) -> dict[str, Any]:
        embedding = F.normalize(self.vectors[rows], dim=1)
        scores = 30.0 * embedding[:, :3] if self.heads else None
        frames = {"mel": embedding[:, None, :].expand(-1, 5, -1)} if self.heads else {}
        targets = {name: torch.zeros_like(value) for name, value in frames.items()}
        return {
            "embedding": embedding, "projection": self.vectors[rows], "logits": scores, "class_scale": 30.0,
            "group_logits": [scores, -scores] if self.heads else [],
            "adversary": scores, "reconstruction": frames, "targets": targets, "lengths": torch.full((len(rows),), 3),
        }  # fmt: skip


def sample(size: int = 6, counted: bool = True) -> dict[str, Any]:
    """Return a batch of pairs of a class."""
    label = torch.arange(size) // 2
    return {
        "net_input": {"rows": torch.arange(size)}, "label": label, "speaker": torch.arange(size),
        "target": torch.stack([label, label], 1), "nsentences": size if counted else 0, "ntokens": 10,
        "num_rows": size, "split_rows": 9,
    }  # fmt: skip


def criterion(**keys: Any) -> AccentTripletCriterion:
    config = AccentTripletConfig(**keys)
    names = [name for name in AccentTripletConfig.__dataclass_fields__ if name != "_name"]
    return AccentTripletCriterion(SimpleNamespace(), **{name: getattr(config, name) for name in names})


def kinds(logged: dict[str, Any]) -> dict[str, bool]:
    """Return which entries are tensors: fairseq adds those of ranks up apart from numbers, entry by entry."""
    return {name: torch.is_tensor(value) for name, value in logged.items()}


ALL = {
    f"{name}_weight": weight
    for name, weight in zip(TERMS, (1.0, 0.5, 0.75, 0.25, 1.5, 0.125, 2.0), strict=True)
}


def test_loss_is_the_weighted_sum_of_the_terms_times_recordings() -> None:
    model, own = Encoder(), criterion(**ALL)
    loss, size, logged = own(model, sample())
    assert size == 6
    assert {f"{name}_count" for name in TERMS} <= logged.keys()
    expected = sum(ALL[f"{name}_weight"] * logged[name] for name in TERMS)
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-5)
    loss.backward()
    assert torch.isfinite(model.vectors.grad).all()


def test_term_without_weight_takes_no_part() -> None:
    loss, _, logged = criterion(contrast_weight=0.0, reconstruction_weight=0.0)(Encoder(), sample())
    assert float(loss.detach()) == pytest.approx(float(logged["triplet"]), rel=1e-5)


def test_ranks_add_up_to_one_batch_of_both() -> None:
    own = criterion(**ALL)
    outputs = [own(Encoder(), sample())[2] for _ in range(2)]
    summed = {name: sum(output[name] for output in outputs) for name in outputs[0]}
    with metrics.aggregate() as one:
        own.reduce_metrics(outputs)
    with metrics.aggregate() as two:
        own.reduce_metrics([summed])
    assert one.get_smoothed_values() == two.get_smoothed_values()
    assert {*TERMS, "loss", "spread", "effective_rank"} <= one.get_smoothed_values().keys()


def test_weights_and_shares_are_logged() -> None:
    own = criterion(**ALL)
    output = own(Encoder(), sample())[2]
    with metrics.aggregate() as found:
        own.watch([output])
    values = found.get_smoothed_values()
    assert {name: values[f"weight_{name}"] for name in TERMS} == {
        name: ALL[f"{name}_weight"] for name in TERMS
    }
    assert values["share_mel"] == 0.7


def test_batch_of_which_nothing_could_be_read_counts_nowhere() -> None:
    model = Encoder()
    loss, size, logged = criterion(**ALL)(model, sample(counted=False))
    loss.backward()
    assert (size, float(logged["loss"]), logged["triplet_count"]) == (0, 0.0, 0)
    assert not model.vectors.grad.any()
    assert kinds(logged) == kinds(criterion(**ALL)(model, sample())[2])


def test_batch_without_pairs_has_the_same_entries() -> None:
    lonely = sample(1)
    loss, _, logged = criterion(triplet_weight=1.0)(Encoder(), lonely)
    assert torch.isfinite(loss)
    assert kinds(logged) == kinds(criterion()(Encoder(), sample())[2])
    assert logged["triplet_count"] == 0


def test_alarm_sees_the_updates_and_not_the_validation(caplog: pytest.LogCaptureFixture) -> None:
    own, model = criterion(alarm_after=2), Encoder()
    with torch.no_grad():
        model.vectors.copy_(model.vectors[:1].expand(6, -1))
    own.eval()
    for _ in range(4):
        own.watch([own(model, sample())[2]])
    assert "collapsed" not in caplog.text
    own.train()
    for _ in range(4):
        own.watch([own(model, sample())[2]])
    assert caplog.text.count("embeddings have collapsed: triplet loss 0.3 at its margin") == 1


def test_term_whose_head_is_missing_names_the_key() -> None:
    with pytest.raises(ValueError, match=r"criterion\.class_weight: 1, .* model\.class_head=true"):
        criterion(class_weight=1.0)(Encoder(heads=False), sample())
    with pytest.raises(ValueError, match=r"criterion\.group_class_weight: 7, .* model\.fusion=embeddings"):
        criterion(group_class_weight=7.0)(Encoder(heads=False), sample())


@pytest.mark.parametrize(
    "keys",
    [{"margin": 0.0}, {"contrast_temperature": -1.0}, {"mining": "easy"}, {"triplet_weight": -1.0},
     {"triplet_weight": 0.0, "contrast_weight": 0.0, "reconstruction_weight": 0.0}],
)  # fmt: skip
def test_keys_that_cannot_be_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="criterion"):
        criterion(**keys)
