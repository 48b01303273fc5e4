"""The decoder: the same step by step as at once, no look ahead, padding."""

import torch

from fairseq_ext.modules.attention_decoder import AttentionDecoder, DecoderConfig
from fairseq_ext.modules.padding import valid_mask

NUM_SYMBOLS = 9


def decoder(num_starts: int = 0) -> AttentionDecoder:
    torch.manual_seed(1)
    config = DecoderConfig(
        decoder_layers=2, decoder_embed_dim=16, decoder_ffn_embed_dim=32, decoder_attention_heads=4
    )
    return AttentionDecoder(config, NUM_SYMBOLS, 12, num_starts).double()


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return (
        torch.randint(NUM_SYMBOLS, (3, 5)),
        torch.randn(3, 7, 12).double(),
        valid_mask(torch.tensor([7, 4, 1]), 7),
    )


def test_steps_give_what_all_tokens_at_once_give() -> None:
    model = decoder().eval()
    tokens, memory, valid = inputs()
    whole, state = model(tokens, memory, valid), model.start(memory, valid)
    for position in range(5):
        logits, state = model.step(tokens[:, position], state)
        torch.testing.assert_close(logits, whole[:, position])
    assert state.length == 5


def test_hypotheses_can_change_places() -> None:
    model = decoder().eval()
    tokens, memory, valid = inputs()
    _, state = model.step(tokens[:, 0], model.start(memory, valid))
    rows = torch.tensor([2, 0, 0, 1])
    logits, _ = model.step(tokens[rows, 1], state.select(rows))
    torch.testing.assert_close(logits, model(tokens[:, :2], memory, valid)[rows, 1])


def test_nothing_ahead_and_no_padding_is_seen() -> None:
    model = decoder().eval()
    tokens, memory, valid = inputs()
    whole = model(tokens, memory, valid)
    other = tokens.clone()
    other[:, 3:] = 1
    torch.testing.assert_close(model(other, memory, valid)[:, :3], whole[:, :3])
    noisy = memory.masked_fill(~valid[:, :, None], 5.0)
    torch.testing.assert_close(model(tokens, noisy, valid), whole)
    alone = model(tokens[1:2], memory[1:2, :4], valid[1:2, :4])
    torch.testing.assert_close(alone, whole[1:2])


def test_gradients_reach_every_parameter_and_starts_have_no_output() -> None:
    model = decoder(num_starts=2)
    tokens, memory, valid = inputs()
    tokens[:, 0] = torch.tensor([NUM_SYMBOLS, NUM_SYMBOLS + 1, NUM_SYMBOLS])
    logits = model(tokens, memory, valid)
    assert logits.shape == (3, 5, NUM_SYMBOLS)
    (logits * torch.randn_like(logits)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
