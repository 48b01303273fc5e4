"""Random models of Hugging Face's classes, saved as users have them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

SIZES: dict[str, Any] = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "conv_dim": [32, 32, 32],
    "conv_kernel": [10, 3, 2],
    "conv_stride": [5, 2, 2],
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2": (
        "Wav2Vec2",
        {"num_codevectors_per_group": 8, "codevector_dim": 16, "proj_codevector_dim": 24},
    ),
    "hubert": ("Hubert", {}),
    "wavlm": ("WavLM", {"num_buckets": 32, "max_bucket_distance": 80}),
}
LETTERS = ["a", "à", "b", "ç", "é", "l", "·", "ŀ", "'", "n"]
# As facebook's models have it, and as those fine-tuned by users do: no <s> and </s>, the blank last, other names.
ALPHABETS = {
    "facebook": ["<pad>", "<s>", "</s>", "<unk>", "|", *LETTERS],
    "users": [*LETTERS[:4], " ", *LETTERS[4:], "[UNK]", "[PAD]"],
}


@dataclass(frozen=True)
class Exported:
    """A model of Hugging Face's, the folder it was saved to, and its tokens in the order of the rows."""

    network: Any
    folder: Path
    tokens: list[str]

    def to(self, dtype: torch.dtype) -> "Exported":
        """Convert the network in place."""
        self.network.to(dtype)
        return self

    @torch.no_grad()
    def layers(self, source: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the last frames and the output of each layer; `hidden_states` differs between versions."""
        outputs: list[Tensor] = []
        base = getattr(self.network, self.network.base_model_prefix, self.network)
        hooks = [
            layer.register_forward_hook(
                lambda _, __, out: outputs.append(out[0] if type(out) is tuple else out)
            )
            for layer in base.encoder.layers
        ]
        frames = base(source).last_hidden_state
        for hook in hooks:
            hook.remove()
        return frames, outputs


def _randomise(network: Any) -> Any:
    """Move the weights far from their initial values, so that each norm and bias counts."""
    torch.manual_seed(2)  # not the seed of a test, from which the initial values were drawn
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def _write_tokenizer(folder: Path, tokens: Sequence[str]) -> None:
    """Save a vocabulary with transformers' own class."""
    import transformers

    vocabulary = folder / "vocabulary.json"
    vocabulary.write_text(json.dumps({token: row for row, token in enumerate(tokens)}), encoding="utf-8")
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "bos_token": None, "eos_token": None}
    options: dict[str, Any] = {} if "<pad>" in tokens else {**names, "word_delimiter_token": " "}
    transformers.Wav2Vec2CTCTokenizer(str(vocabulary), **options).save_pretrained(folder)
    vocabulary.unlink()


def _export(
    folder: Path,
    family: str,
    head: str = "ForCTC",
    *,
    large: bool = False,
    alphabet: str = "facebook",
    save: dict[str, Any] | None = None,
    **sizes: Any,
) -> Exported:
    import transformers

    name, special = FAMILIES[family]
    tokens = ALPHABETS[alphabet]
    config = getattr(transformers, f"{name}Config")(
        **{**SIZES, **special, **(LARGE if large else {}), **sizes},
        vocab_size=len(tokens),
        pad_token_id=tokens.index("<pad>" if "<pad>" in tokens else "[PAD]"),
        ctc_loss_reduction="sum",
    )
    network = _randomise(getattr(transformers, f"{name}{head}")(config))
    if head == "ForCTC":
        with torch.no_grad():  # letters are to win: of special tokens nothing would be left to compare
            for row, token in enumerate(tokens):
                network.lm_head.bias[row] -= 20.0 if token in {"<s>", "</s>", "<unk>", "[UNK]"} else 0.0
    network.save_pretrained(folder, **(save or {}))
    if head == "ForCTC":
        _write_tokenizer(folder, tokens)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=large, return_attention_mask=large).save_pretrained(
        folder
    )
    return Exported(network, folder, tokens)


@pytest.fixture(scope="session")
def export() -> Callable[..., Exported]:
    """Make a random model and save it: folder, family, class ("ForCTC", "Model", ...), sizes."""
    pytest.importorskip("transformers")
    return _export
