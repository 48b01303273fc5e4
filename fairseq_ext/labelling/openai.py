"""Whisper as openai-whisper runs it: the reference of the others, and a labeller where there is no CTranslate2.

Shapes: B windows, `(B, M, 3000)` log-mel, `(B, 1500, D)` encoded.
"""

from collections.abc import Sequence
from typing import Any

from ..optional import import_optional, reason
from .devices import Hardware, start_torch
from .engine import MAX_SAMPLES, Decoding, Hypothesis, Languages, Waveform, check_windows
from .fallback import with_fallback


class OpenAiWhisper:
    """A Whisper in openai-whisper's format.

    Args:
        model: a `.pt` file, or a name such as "large-v2", which is downloaded.
        name: for the table of labels.
        hardware: that it runs on, with the type "float32", "float16" (on a GPU), or "auto": the latter on a GPU.
        decoding: how texts are searched for.

    Raises:
        ValueError: for a file, a type or a device that openai-whisper does not take.
    """

    def __init__(self, model: str, *, name: str, hardware: Hardware, decoding: Decoding) -> None:
        self.name, self.batch_size, self.decoding = name, hardware.batch_size, decoding
        self._whisper = import_optional("whisper")
        self._torch, self._device, self._half = start_torch(name, hardware)
        try:
            self._model = self._whisper.load_model(model, device=self._device)
        except Exception as error:  # of its format, of the download, of CUDA
            raise ValueError(
                f"{model}: a checkpoint of openai-whisper that loads on {self._device} expected, found: "
                f"{reason(error)}; give its .pt file, or a name that can be downloaded"
            ) from error
        if not self._model.is_multilingual:
            raise ValueError(f"{model}: a multilingual Whisper expected, found an English one; take another")
        tokenizer = self._whisper.tokenizer.get_tokenizer(True, num_languages=self._model.num_languages)
        self.languages = frozenset(tokenizer.all_language_codes)

    def encode(self, windows: Sequence[Waveform]) -> Any:
        """Runs the encoder.

        Args:
            windows: B of up to 30 s, (S,) float32 at 16 kHz.

        Returns:
            (B, 1500, D) on the model's device.
        """
        check_windows(windows)
        audio, torch = self._whisper.audio, self._torch
        mels = [
            audio.log_mel_spectrogram(audio.pad_or_trim(window, MAX_SAMPLES), n_mels=self._model.dims.n_mels)
            for window in windows
        ]
        mel = torch.stack(mels).to(self._device)
        with torch.no_grad():
            return self._model.encoder(mel.half() if self._half else mel)

    def detect_language(self, heard: Any) -> list[Languages]:
        """Gives languages by probability.

        Args:
            heard: of `encode`.

        Returns:
            For each window (code, probability), the likeliest first.
        """
        _, found = self._whisper.detect_language(self._model, heard)
        return [sorted(row.items(), key=lambda item: -item[1]) for row in found]

    def transcribe(self, heard: Any, languages: Sequence[str | None]) -> list[Hypothesis | None]:
        """Writes windows down, those of one language together.

        Args:
            heard: of `encode`, (B, 1500, D).
            languages: of each window; None: leave it out.

        Returns:
            B hypotheses, None for those left out.
        """
        found: dict[int, Hypothesis] = {}
        for code in sorted({code for code in languages if code}):
            wanted = [i for i, other in enumerate(languages) if other == code]
            found |= with_fallback(self._decoder(heard, code), wanted, self.decoding)
        return [found.get(i) for i in range(len(languages))]

    def _decoder(self, heard: Any, code: str) -> Any:
        def decode(chosen: Sequence[int], temperature: float) -> list[Hypothesis]:
            if temperature == 0:
                return self._search(heard[list(chosen)], code, 0.0)
            # One by one, lest a sample depend on what else is in the batch.
            return [self._search(heard[[index]], code, temperature)[0] for index in chosen]

        return decode

    def _search(self, heard: Any, code: str, temperature: float) -> list[Hypothesis]:
        greedy = temperature > 0 or self.decoding.beam_size == 1
        options = self._whisper.DecodingOptions(
            language=code,
            temperature=temperature,
            beam_size=None if greedy else self.decoding.beam_size,
            best_of=self.decoding.best_of if temperature > 0 else None,
            sample_len=self.decoding.max_tokens,
            without_timestamps=True,
            fp16=self._half,
        )
        with self._torch.random.fork_rng(devices=[]):
            self._torch.manual_seed(self.decoding.seed)
            found = self._whisper.decode(self._model, heard, options)
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
