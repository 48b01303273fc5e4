"""Whisper run by CTranslate2, with batches that span files.

faster-whisper's own pipelines batch within one file, return no language per clip, and truncate longer windows with a
warning (its issues 1179, 1330, 1427, 1468). Here a window is encoded once, for its language and its text, and the
decoder runs over many windows, each prompted with its own language. On a CPU the encoder does not run over the silence
that pads a short window to 30 s.

Shapes: B windows, `(B, M, 3000)` log-mel, `(B, 1500, D)` encoded.
"""

import ctypes
import glob
import importlib.util
import os
from collections.abc import Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..optional import import_optional, reason
from . import tokens
from .devices import Hardware, choose_device
from .engine import (
    FRAME_RATE_HZ,
    SAMPLE_RATE_HZ,
    Decoding,
    Hypothesis,
    Languages,
    Waveform,
    check_windows,
    language_token,
)
from .fallback import same_length, with_fallback
from .log_mel import NUM_FRAMES, LogMel

FORMAT = ("model.bin", "config.json", "tokenizer.json")
SAMPLES_PER_FRAME = SAMPLE_RATE_HZ // FRAME_RATE_HZ
DEFAULT_TYPES = {"cpu": "int8", "cuda": "float16"}
_SIDES = {"cublasLt": 12, "cublas": 12}  # the libraries of CUDA 12 that ctranslate2 4 opens, in this order


class FasterWhisper:
    """A Whisper in CTranslate2's format: a folder with `model.bin`, `config.json`, `tokenizer.json`.

    The number format is one of CTranslate2, "auto": int8 on a CPU, float16 on a GPU.

    Raises:
        ValueError: when CTranslate2 cannot load the folder in this type, or the GPU or its libraries are missing.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, name: str, hardware: Hardware, decoding: Decoding
    ) -> None:
        self.name, self.batch_size, self.decoding = name, hardware.batch_size, decoding
        _check_folder(Path(folder))
        self._ctranslate2 = import_optional("ctranslate2")
        count = self._ctranslate2.get_cuda_device_count()
        device, _, index = choose_device(hardware.device, count).partition(":")
        if device == "cuda":
            preload_cublas()
        self._is_cpu = device == "cpu"
        self._model = self._load(Path(folder), device, int(index or 0), hardware)
        self._vocabulary = import_optional("tokenizers").Tokenizer.from_file(
            str(Path(folder) / "tokenizer.json")
        )
        self._tokens = tokens.find(self._vocabulary.token_to_id, self._encode_text)
        self._contexts = tokens.contexts(decoding.prompts, self._encode_text)
        self._log_mel = LogMel(self._model.n_mels)
        self._silences: dict[float, NDArray[Any]] = {}
        self.languages = self._languages()
        self._ctranslate2.set_random_seed(self.decoding.seed)

    def _load(self, folder: Path, device: str, index: int, hardware: Hardware) -> Any:
        is_auto = hardware.compute_type == "auto"
        wanted = DEFAULT_TYPES.get(device, "default") if is_auto else hardware.compute_type
        threads = {"intra_threads": hardware.num_threads, "inter_threads": 1}
        try:
            model = self._ctranslate2.models.Whisper(
                str(folder), device=device, device_index=index, compute_type=wanted, **threads
            )
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"{folder}: CTranslate2 cannot load this model on {device} as {wanted}: {reason(error)}; "
                "convert the model again, or change device or type"
            ) from error
        if not model.is_multilingual:
            raise ValueError(f"{folder}: this Whisper transcribes English only; take a multilingual one")
        return model

    def _languages(self) -> frozenset[str]:
        # Languages are the only special tokens of two or three letters: <|fr|>, <|yue|>.
        codes = {
            token[2:-2] for token in self._vocabulary.get_vocab() if token[:2] == "<|" and len(token) <= 7
        }
        return frozenset(code for code in codes if code.isalpha())

    def _encode_text(self, text: str) -> list[int]:
        ids: list[int] = self._vocabulary.encode(text, add_special_tokens=False).ids
        return ids

    def encode(self, windows: Sequence[Waveform]) -> NDArray[Any]:
        """Run the encoder; see `Engine.encode`. Returns (B, 1500, D)."""
        check_windows(windows)
        mels = [self._log_mel(window) for window in windows]
        if not self._is_cpu:
            return self._encode_mels(np.stack(mels))
        # One by one on a CPU: the attention scores of several windows (1500 x 1500 each) do not fit
        # into its caches. Labelling took 15.3 clips per CPU-second one by one, 11.1 in batches of 8.
        return np.concatenate(
            [self._encode_start(mel[None], len(w)) for mel, w in zip(mels, windows, strict=True)]
        )

    def _encode_start(self, mel: NDArray[np.float32], num_samples: int) -> NDArray[Any]:
        """Encode a window and some silence, (1, 1500, D); the rest is what 30 s of silence give at these places.

        The encoder's cost grows with the square of its input. Without the rest Whisper ends too late: in 7 sentences
        of FLEURS it repeated itself so often that the WER rose from 0.2 to 0.9.
        """
        num_frames = -(-num_samples // SAMPLES_PER_FRAME) + round(self.decoding.padding_s * FRAME_RATE_HZ)
        if num_frames >= NUM_FRAMES // 2:
            return self._encode_mels(mel)
        start = self._encode_mels(mel[:, :, : 2 * num_frames])  # the encoder halves the rate of its input
        rest = self._encoded_silence(round(float(mel[0, 0, -1]), 1))
        return np.concatenate([start, rest[:, num_frames:]], axis=1)

    def _encoded_silence(self, level: float) -> NDArray[Any]:
        """Encode 30 s of silence (1, 1500, D); its level in log-mel depends on the loudness of a window."""
        if level not in self._silences:
            mel = np.full((1, self._log_mel.num_mels, NUM_FRAMES), level, dtype=np.float32)
            self._silences[level] = self._encode_mels(mel)
        return self._silences[level]

    def _encode_mels(self, mels: NDArray[np.float32]) -> NDArray[Any]:
        return np.array(self._model.encode(self._view(mels), to_cpu=not self._is_cpu))

    def _view(self, array: NDArray[Any]) -> Any:
        return self._ctranslate2.StorageView.from_array(np.ascontiguousarray(array))

    def part(self, encoded: NDArray[Any], index: int, start_s: float, end_s: float) -> NDArray[Any]:
        """Return a stretch of an encoded window; see `Engine.part`."""
        return encoded[index : index + 1, round(start_s * FRAME_RATE_HZ) : round(end_s * FRAME_RATE_HZ)]

    def detect_language(self, encoded: NDArray[Any]) -> list[Languages]:
        """Return languages by probability; see `Engine.detect_language`."""
        found = self._model.detect_language(self._view(encoded))
        return [[(token[2:-2], float(probability)) for token, probability in row] for row in found]

    def transcribe(self, encoded: NDArray[Any], languages: Sequence[str | None]) -> list[Hypothesis | None]:
        """Transcribe windows; see `Engine.transcribe`."""
        codes = [code or "" for code in languages]
        prompts = {
            i: self._tokens.prompt(self._language(code), self._contexts.get(code, ()))
            for i, code in enumerate(codes)
            if code
        }

        def decode(chosen: Sequence[int], temperature: float) -> list[Hypothesis]:
            index = list(chosen)
            found = self._generate(encoded[index], [prompts[i] for i in index], temperature)
            return [self._hypothesis(f, codes[i], temperature) for i, f in zip(index, found, strict=True)]

        results: dict[int, Hypothesis] = {}
        for group in same_length(prompts):
            results |= with_fallback(decode, group, self.decoding)
        return [results.get(i) for i in range(len(codes))]

    def align(
        self, encoded: NDArray[Any], words: Sequence[str], language: str, num_samples: int
    ) -> list[tuple[float, float]]:
        """Return start and end of each word of a known text in one window, s, by the decoder's attention to the sound.

        Radford et al. 2022 describe no times of words; by dynamic time warping of the attention of chosen heads, as in
        openai-whisper.

        Args:
            encoded: (1, 1500, D), of `encode`.
            words: the text, as Whisper would spell it or normalised.
            language: its code.
            num_samples: samples of the window at 16 kHz.
        """
        tokens_of = [self._encode_text(f" {word}") for word in words]
        (found,) = self._model.align(
            self._view(encoded),
            self._tokens.prompt(self._language(language))[:-1],  # it adds <|notimestamps|> by itself
            [list(chain.from_iterable(tokens_of))],
            [2 * -(-num_samples // SAMPLES_PER_FRAME)],
        )
        token, frame = np.array(found.alignments).T
        # The frame at which each token begins; the one after the last is the text's end.
        begins = frame[np.flatnonzero(np.diff(token, prepend=-1))] / FRAME_RATE_HZ
        borders = np.cumsum([0, *map(len, tokens_of)]).clip(max=len(begins) - 1)
        return [(float(begins[a]), float(begins[b])) for a, b in pairwise(borders)]

    def _language(self, code: str) -> int:
        return language_token(code, self._vocabulary.token_to_id(f"<|{code}|>"), self.name)

    def _generate(self, encoded: NDArray[Any], prompts: list[list[int]], temperature: float) -> Any:
        search: dict[str, Any] = {"beam_size": self.decoding.beam_size}
        if temperature > 0:
            search = {"beam_size": 1, "num_hypotheses": self.decoding.best_of, "sampling_topk": 0}
            search["sampling_temperature"] = temperature
        return self._model.generate(
            self._view(encoded),
            prompts,
            # CTranslate2 allows half of it for the text, and counts the prompt without its last token.
            max_length=self.decoding.max_tokens + max(self.decoding.max_tokens, len(prompts[0]) - 1),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=list(self._tokens.never),
            **search,
        )

    def _hypothesis(self, result: Any, language: str, temperature: float) -> Hypothesis:
        ids = result.sequences_ids[0]
        text_ids = [i for i in ids if i < self._tokens.end]
        # CTranslate2 divides by the length without the end of the text, openai-whisper by that with it.
        avg_logprob = float(result.scores[0]) * len(ids) / (len(ids) + 1)
        text = self._vocabulary.decode(text_ids).strip()
        return Hypothesis(text, language, avg_logprob, float(result.no_speech_prob), len(ids), temperature)


def _check_folder(folder: Path) -> None:
    for name in FORMAT:
        if not (folder / name).is_file():
            raise ValueError(
                f"{folder}: no {name}, and CTranslate2 needs {', '.join(FORMAT)}; convert the model with "
                "ct2-transformers-converter --copy_files tokenizer.json preprocessor_config.json"
            )


def preload_cublas() -> None:
    """Load the libraries of CUDA 12 that CTranslate2 would otherwise look for, and miss, at its first window.

    Next to a PyTorch for another CUDA they come with the package `nvidia-cublas-cu12`, in a folder that the loader
    does not search.

    Raises:
        ValueError: when they are not installed, saying what to install.
    """
    for library, version in _SIDES.items():
        name = f"lib{library}.so.{version}"
        for path in [*_installed(name), name]:
            try:
                ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
                break
            except OSError:
                continue
        else:
            raise ValueError(
                f"{name}: this library of CUDA {version} is not installed; run pip install nvidia-cublas-cu12, or "
                "label on the CPU, or with a Whisper of openai-whisper or transformers"
            )


def _installed(name: str) -> list[str]:
    spec = importlib.util.find_spec("nvidia")
    folders = list(spec.submodule_search_locations or []) if spec else []
    return [path for folder in folders for path in sorted(glob.glob(f"{folder}/cublas/lib/{name}"))]
