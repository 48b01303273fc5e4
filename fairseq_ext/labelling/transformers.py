"""Whisper run by transformers: for models in Hugging Face's format, and GPUs that CTranslate2 does not support.

Shapes: B windows, `(B, M, 3000)` log-mel, `(B, 1500, D)` encoded, L tokens, V symbols.
"""

from collections.abc import Sequence
from typing import Any

from ..optional import import_optional
from . import tokens
from .devices import Hardware
from .engine import (
    MAX_SAMPLES,
    SAMPLE_RATE_HZ,
    Decoding,
    Hypothesis,
    Languages,
    Waveform,
    check_windows,
    language_token,
)
from .fallback import batched_unless_sampled, same_length, with_fallback
from .torch_whisper import TorchWhisper


class TransformersWhisper(TorchWhisper):
    """A Whisper in Hugging Face's format: a folder, or a name such as "openai/whisper-large-v2", which is downloaded.

    The folder has `config.json`, weights, `generation_config.json`, `tokenizer.json` and `preprocessor_config.json`.

    Raises:
        ValueError: when transformers cannot load the model, or not on this device in this type.
    """

    def __init__(self, model: str, *, name: str, hardware: Hardware, decoding: Decoding) -> None:
        hf = import_optional("transformers")
        super().__init__(name=name, hardware=hardware, decoding=decoding)
        self._type = self._torch.float16 if self._half else self._torch.float32
        advice = "give a folder with its config, weights and tokenizer, or a name that can be downloaded"
        with self._loading(model, "transformers", advice):
            network = hf.WhisperForConditionalGeneration.from_pretrained(model, dtype=self._type)
            self._extract = hf.WhisperFeatureExtractor.from_pretrained(model)
            self._vocabulary = hf.AutoTokenizer.from_pretrained(model)
            self._model = network.to(self._device).eval()
        languages = getattr(self._model.generation_config, "lang_to_id", None)
        if not languages:
            raise ValueError(
                f"{model}: generation_config.json has no lang_to_id; copy the file of the original model"
            )
        self._languages: dict[str, int] = {token[2:-2]: number for token, number in languages.items()}
        self.languages = frozenset(self._languages)
        self._tokens = tokens.find(self._number, self._encode_text)
        self._contexts = tokens.contexts(decoding.prompts, self._encode_text)

    def _number(self, token: str) -> int | None:
        return self._vocabulary.get_vocab().get(token)  # type: ignore[no-any-return]

    def _encode_text(self, text: str) -> list[int]:
        return self._vocabulary.encode(text, add_special_tokens=False)  # type: ignore[no-any-return]

    def encode(self, windows: Sequence[Waveform]) -> Any:
        """Run the encoder; see `Engine.encode`. Returns (B, 1500, D) on the model's device."""
        check_windows(windows)
        mel = self._extract(
            list(windows),
            sampling_rate=SAMPLE_RATE_HZ,
            padding="max_length",
            max_length=MAX_SAMPLES,
            return_tensors="pt",
        ).input_features
        with self._torch.no_grad():
            return self._model.model.encoder(mel.to(self._device, self._type)).last_hidden_state

    def _first_log_probs(self, encoded: Any, before: Sequence[int] = ()) -> Any:
        """Return ln p (B, V) of the first token of a transcript, after a prompt of the tokens `before`."""
        context = [self._tokens.previous, *before] if before else []
        start = self._torch.tensor([[*context, self._tokens.start]] * len(encoded), device=encoded.device)
        with self._torch.no_grad():
            logits = self._model(encoder_outputs=(encoded,), decoder_input_ids=start).logits[:, -1]
        return logits.float().log_softmax(-1)

    def detect_language(self, encoded: Any) -> list[Languages]:
        """Return languages by probability; see `Engine.detect_language`."""
        codes, numbers = zip(*self._languages.items(), strict=True)
        found = self._first_log_probs(encoded)[:, list(numbers)].softmax(-1).tolist()
        return [sorted(zip(codes, row, strict=True), key=lambda item: -item[1]) for row in found]

    def transcribe(self, encoded: Any, languages: Sequence[str | None]) -> list[Hypothesis | None]:
        """Transcribe windows; see `Engine.transcribe`."""
        codes = [code or "" for code in languages]
        wanted = [i for i, code in enumerate(codes) if code]
        if not wanted:
            return [None] * len(codes)
        prompts = {
            i: self._tokens.prompt(self._language(codes[i]), self._contexts.get(codes[i], ())) for i in wanted
        }
        no_speech = self._no_speech(encoded, codes)

        def search(chosen: list[int], temperature: float) -> list[Hypothesis]:
            found = self._search(encoded[chosen], [prompts[i] for i in chosen], temperature)
            return [
                Hypothesis(text, codes[i], avg_logprob, no_speech[i], num_tokens, temperature)
                for i, (text, avg_logprob, num_tokens) in zip(chosen, found, strict=True)
            ]

        found: dict[int, Hypothesis] = {}
        for group in same_length(prompts):
            found |= with_fallback(batched_unless_sampled(search), group, self.decoding)
        return [found.get(i) for i in range(len(codes))]

    def _no_speech(self, encoded: Any, codes: Sequence[str]) -> list[float]:
        """Return the probability of silence of each window, which depends on its language's prompt."""
        found = self._first_log_probs(encoded)[:, self._tokens.no_speech].exp().tolist()
        for code, before in self._contexts.items():
            if chosen := [i for i, other in enumerate(codes) if other == code]:
                log_probs = self._first_log_probs(encoded[chosen], before)[:, self._tokens.no_speech]
                for i, probability in zip(chosen, log_probs.exp().tolist(), strict=True):
                    found[i] = probability
        return found  # type: ignore[no-any-return]

    def _language(self, code: str) -> int:
        return language_token(code, self._languages.get(code), self.name)

    def _search(
        self, encoded: Any, prompts: list[list[int]], temperature: float
    ) -> list[tuple[str, float, int]]:
        """Return text, ln p per token and number of tokens of every window's best hypothesis."""
        num = self.decoding.best_of if temperature > 0 else 1
        with self._seeded() as torch:
            start = torch.tensor(prompts, device=encoded.device)
            out = self._generate(encoded, start, temperature, num)
            log_probs = self._log_probs(out, temperature).tolist()
        rows = [
            self._scored(row[start.shape[1] :], scores)
            for row, scores in zip(out.sequences.tolist(), log_probs, strict=True)
        ]
        # Of several samples the likeliest per token, as openai-whisper ranks them.
        return [max(rows[i : i + num], key=lambda row: row[1]) for i in range(0, len(rows), num)]

    def _generate(self, encoded: Any, start: Any, temperature: float, num: int) -> Any:
        generation = import_optional("transformers.generation").GenerationMixin
        output = import_optional("transformers.modeling_outputs").BaseModelOutput
        settings: dict[str, Any] = {
            "do_sample": False,
            "num_beams": self.decoding.beam_size,
            "length_penalty": 1.0,
        }
        if temperature > 0:
            settings = {
                "do_sample": True,
                "temperature": temperature,
                "top_k": 0,
                "num_return_sequences": num,
            }
        # Whisper's own `generate` would cut recordings and choose languages; here that is done already.
        return generation.generate(
            self._model,
            encoder_outputs=output(last_hidden_state=encoded),
            decoder_input_ids=start,
            attention_mask=self._torch.ones(encoded.shape[:2], dtype=self._torch.long, device=encoded.device),
            decoder_attention_mask=self._torch.ones_like(start),
            max_new_tokens=self.decoding.max_tokens,
            max_length=None,
            suppress_tokens=list(self._tokens.never),
            renormalize_logits=True,  # ln p over the tokens that are not suppressed
            return_dict_in_generate=True,
            output_scores=True,
            **settings,
        )

    def _log_probs(self, out: Any, temperature: float) -> Any:
        """Return ln p (N, L) of the generated tokens, at temperature 1."""
        scores = out.scores
        if temperature > 0:  # `generate` returns them divided by it, each step normalised
            scores = tuple((step * temperature).log_softmax(-1) for step in scores)
        return self._model.compute_transition_scores(out.sequences, scores, out.get("beam_indices"))

    def _scored(self, row: list[int], log_probs: list[float]) -> tuple[str, float, int]:
        ended = self._tokens.end in row
        length = row.index(self._tokens.end) if ended else len(row)
        text = self._vocabulary.decode([token for token in row[:length] if token < self._tokens.end])
        # As in openai-whisper, the mean counts the end-of-text token.
        return text.strip(), sum(log_probs[: length + ended]) / (length + 1), length
