"""Whisper run by openai-whisper: the reference for the other engines, and the engine where there is no CTranslate2.

Shapes: B windows, `(B, M, 3000)` log-mel, `(B, 1500, D)` encoded.
"""

import functools
from collections.abc import Sequence
from typing import Any

from ..optional import import_optional
from . import tokens
from .devices import Hardware
from .engine import MAX_SAMPLES, Decoding, Hypothesis, Languages, Waveform, check_windows
from .fallback import batched_unless_sampled, with_fallback
from .torch_whisper import TorchWhisper


class OpenAiWhisper(TorchWhisper):
    """A Whisper in openai-whisper's format: a `.pt` file, or a name such as "large-v2", which is downloaded.

    Raises:
        ValueError: when openai-whisper cannot load the model, or not on this device in this type.
    """

    def __init__(self, model: str, *, name: str, hardware: Hardware, decoding: Decoding) -> None:
        self._whisper = import_optional("whisper")
        super().__init__(name=name, hardware=hardware, decoding=decoding)
        with self._loading(model, "openai-whisper", "give its .pt file, or a name that can be downloaded"):
            self._model = self._whisper.load_model(model, device=self._device)
        if not self._model.is_multilingual:
            raise ValueError(f"{model}: this Whisper transcribes English only; take a multilingual one")
        self._tokenizer = self._whisper.tokenizer.get_tokenizer(True, num_languages=self._model.num_languages)
        self.languages = frozenset(self._tokenizer.all_language_codes)
        self._contexts = tokens.contexts(decoding.prompts, self._tokenizer.encode)

    def encode(self, windows: Sequence[Waveform]) -> Any:
        """Run the encoder; see `Engine.encode`. Returns (B, 1500, D) on the model's device."""
        check_windows(windows)
        audio, torch = self._whisper.audio, self._torch
        mels = [
            audio.log_mel_spectrogram(audio.pad_or_trim(window, MAX_SAMPLES), n_mels=self._model.dims.n_mels)
            for window in windows
        ]
        mel = torch.stack(mels).to(self._device)  # (B, M, 3000)
        with torch.no_grad():
            return self._model.encoder(mel.half() if self._half else mel)

    def detect_language(self, encoded: Any) -> list[Languages]:
        """Return languages by probability; see `Engine.detect_language`."""
        # whisper.detect_language takes stretches of windows for log-mel spectrograms.
        codes, numbers = self._tokenizer.all_language_codes, list(self._tokenizer.all_language_tokens)
        start = self._torch.full((len(encoded), 1), self._tokenizer.sot, device=encoded.device)
        with self._torch.no_grad():
            logits = self._model.logits(start, encoded)[:, 0, numbers]
        rows = logits.float().softmax(-1).tolist()
        return [sorted(zip(codes, row, strict=True), key=lambda item: -item[1]) for row in rows]

    def transcribe(self, encoded: Any, languages: Sequence[str | None]) -> list[Hypothesis | None]:
        """Transcribe windows, those of one language together; see `Engine.transcribe`."""
        found: dict[int, Hypothesis] = {}
        for code in sorted({code for code in languages if code}):
            wanted = [i for i, other in enumerate(languages) if other == code]
            search = functools.partial(self._search, encoded, code)
            found |= with_fallback(batched_unless_sampled(search), wanted, self.decoding)
        return [found.get(i) for i in range(len(languages))]

    def _search(self, encoded: Any, code: str, chosen: list[int], temperature: float) -> list[Hypothesis]:
        # openai-whisper refuses best_of beside a beam and at temperature 0.
        greedy = temperature > 0 or self.decoding.beam_size == 1
        options = self._whisper.DecodingOptions(
            language=code,
            temperature=temperature,
            beam_size=None if greedy else self.decoding.beam_size,
            best_of=self.decoding.best_of if temperature > 0 else None,
            sample_len=self.decoding.max_tokens,
            without_timestamps=True,
            prompt=self._contexts.get(code),
            fp16=self._half,
        )
        task = _beams_of_several(self._whisper.decoding)(self._model, options)
        with self._seeded():
            found = task.run(encoded[chosen])
        return [
            Hypothesis(
                f.text.strip(),
                code,
                float(f.avg_logprob),
                float(f.no_speech_prob),
                len(f.tokens),
                temperature,
            )
            for f in found
        ]


@functools.cache
def _beams_of_several(decoding: Any) -> Any:
    """Return openai-whisper's decoding task, made to run beams over several windows at once.

    Its own (as of 20250625) fails unless there is one window: the decoder has a row per hypothesis, the encoded windows
    a row each.

    Args:
        decoding: the module `whisper.decoding`.
    """

    class DecodingTask(decoding.DecodingTask):  # type: ignore[misc]
        def _get_audio_features(self, mel: Any) -> Any:
            return super()._get_audio_features(mel).repeat_interleave(self.n_group, dim=0)

        def _detect_language(self, audio_features: Any, tokens: Any) -> Any:
            return super()._detect_language(audio_features[:: self.n_group], tokens)

    return DecodingTask
