"""Whisper as transformers runs it: for folders of the Hugging Face, and GPUs that CTranslate2 does not serve.

Shapes: B windows, `(B, M, 3000)` log-mel, `(B, 1500, D)` encoded, L tokens, V symbols.
"""

from collections.abc import Sequence
from typing import Any

from ..optional import import_optional, reason
from . import tokens
from .devices import Hardware, start_torch
from .engine import MAX_SAMPLES, SAMPLE_RATE_HZ, Decoding, Hypothesis, Languages, Waveform, check_windows
from .fallback import with_fallback


class TransformersWhisper:
    """A Whisper in the Hugging Face's format.

    Args:
        model: a folder with `config.json`, weights, `generation_config.json`, `tokenizer.json` and
            `preprocessor_config.json`, or a name such as "openai/whisper-large-v2", which is downloaded.
        name: for the table of labels.
        hardware: that it runs on, with the type "float32", "float16" (on a GPU), or "auto": the latter on a GPU.
        decoding: how texts are searched for.

    Raises:
        ValueError: for a model, a type or a device that transformers does not take.
    """

    def __init__(self, model: str, *, name: str, hardware: Hardware, decoding: Decoding) -> None:
        self.name, self.batch_size, self.decoding = name, hardware.batch_size, decoding
        hf = import_optional("transformers")
        self._torch, self._device, half = start_torch(name, hardware)
        self._type = self._torch.float16 if half else self._torch.float32
        try:
            network = hf.WhisperForConditionalGeneration.from_pretrained(model, dtype=self._type)
            self._extract = hf.WhisperFeatureExtractor.from_pretrained(model)
            self._vocabulary = hf.AutoTokenizer.from_pretrained(model)
            self._model = network.to(self._device).eval()
        except Exception as error:  # of its formats, of the hub, of CUDA
            raise ValueError(
                f"{model}: a Whisper of transformers that loads on {self._device} expected, found: {reason(error)}; "
                "give a folder with its config, weights and tokenizer, or a name that can be downloaded"
            ) from error
        languages = getattr(self._model.generation_config, "lang_to_id", None)
        if not languages:
            raise ValueError(
                f"{model}: lang_to_id in generation_config.json expected, found none; copy it too"
            )
        self._languages: dict[str, int] = {token[2:-2]: number for token, number in languages.items()}
        self.languages = frozenset(self._languages)
        self._tokens = tokens.find(self._number, self._encode_text)

    def _number(self, token: str) -> int | None:
        return self._vocabulary.get_vocab().get(token)  # type: ignore[no-any-return]

    def _encode_text(self, text: str) -> list[int]:
        return self._vocabulary.encode(text, add_special_tokens=False)  # type: ignore[no-any-return]

    def encode(self, windows: Sequence[Waveform]) -> Any:
        """Runs the encoder.

        Args:
            windows: B of up to 30 s, (S,) float32 at 16 kHz.

        Returns:
            (B, 1500, D) on the model's device.
        """
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

    def _first_log_probs(self, heard: Any) -> Any:
        """(B, V): ln p of what follows the start of a transcript."""
        start = self._torch.full((len(heard), 1), self._tokens.start, device=heard.device)
        with self._torch.no_grad():
            logits = self._model(encoder_outputs=(heard,), decoder_input_ids=start).logits[:, 0]
        return logits.float().log_softmax(-1)

    def detect_language(self, heard: Any) -> list[Languages]:
        """Gives languages by probability.

        Args:
            heard: of `encode`.

        Returns:
            For each window (code, probability), the likeliest first.
        """
        codes, numbers = zip(*self._languages.items(), strict=True)
        found = self._first_log_probs(heard)[:, list(numbers)].softmax(-1).tolist()
        return [sorted(zip(codes, row, strict=True), key=lambda item: -item[1]) for row in found]

    def transcribe(self, heard: Any, languages: Sequence[str | None]) -> list[Hypothesis | None]:
        """Writes windows down.

        Args:
            heard: of `encode`, (B, 1500, D).
            languages: of each window; None: leave it out.

        Returns:
            B hypotheses, None for those left out.
        """
        codes = [code or "" for code in languages]
        wanted = [i for i, code in enumerate(codes) if code]
        if not wanted:
            return [None] * len(codes)
        prompts = {i: self._tokens.prompt(self._language(codes[i])) for i in wanted}
        no_speech = self._first_log_probs(heard)[:, self._tokens.no_speech].exp().tolist()

        def decode(chosen: Sequence[int], temperature: float) -> list[Hypothesis]:
            # Samples one by one, lest they depend on what else is in the batch.
            groups = [list(chosen)] if temperature == 0 else [[index] for index in chosen]
            return [
                Hypothesis(text, codes[i], avg_logprob, no_speech[i], num_tokens, temperature)
                for group in groups
                for i, (text, avg_logprob, num_tokens) in zip(
                    group, self._search(heard[group], [prompts[i] for i in group], temperature), strict=True
                )
            ]

        found = with_fallback(decode, wanted, self.decoding)
        return [found.get(i) for i in range(len(codes))]

    def _language(self, code: str) -> int:
        if code not in self._languages:
            raise ValueError(f"language {code!r}: one that {self.name} knows expected; change the languages")
        return self._languages[code]

    def _search(
        self, heard: Any, prompts: list[list[int]], temperature: float
    ) -> list[tuple[str, float, int]]:
        """Text, ln p per token and number of tokens of every window's best hypothesis."""
        torch, num = self._torch, self.decoding.best_of if temperature > 0 else 1
        start = torch.tensor(prompts, device=heard.device)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(self.decoding.seed)
            out = self._generate(heard, start, temperature, num)
            log_probs = self._log_probs(out, temperature).tolist()
        rows = [
            self._scored(row[start.shape[1] :], scores)
            for row, scores in zip(out.sequences.tolist(), log_probs, strict=True)
        ]
        # Of several samples the likeliest per token, as openai-whisper ranks them.
        return [max(rows[i : i + num], key=lambda row: row[1]) for i in range(0, len(rows), num)]

    def _generate(self, heard: Any, start: Any, temperature: float, num: int) -> Any:
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
        # Whisper's own `generate` cuts recordings and decides on languages; here all that is settled.
        return generation.generate(
            self._model,
            encoder_outputs=output(last_hidden_state=heard),
            decoder_input_ids=start,
            attention_mask=self._torch.ones(heard.shape[:2], dtype=self._torch.long, device=heard.device),
            decoder_attention_mask=self._torch.ones_like(start),
            max_new_tokens=self.decoding.max_tokens,
            max_length=None,
            suppress_tokens=list(self._tokens.never),
            renormalize_logits=True,
            return_dict_in_generate=True,
            output_scores=True,
            **settings,
        )

    def _log_probs(self, out: Any, temperature: float) -> Any:
        """(N, L): ln p of the tokens that were generated, at temperature 1."""
        scores = out.scores
        if temperature > 0:
            scores = tuple((step * temperature).log_softmax(-1) for step in scores)
        return self._model.compute_transition_scores(out.sequences, scores, out.get("beam_indices"))

    def _scored(self, row: list[int], log_probs: list[float]) -> tuple[str, float, int]:
        ended = self._tokens.end in row
        length = row.index(self._tokens.end) if ended else len(row)
        text = self._vocabulary.decode([token for token in row[:length] if token < self._tokens.end])
        return text.strip(), sum(log_probs[: length + ended]) / (length + 1), length
