"""Texts to units and back: characters with word boundaries, and SentencePiece.

Label files hold units separated by spaces: `h o l a | m ó n |` (characters, every word followed by `|`) or
`▁hola ▁món` (pieces, a word begins with `▁`). Texts are not changed here: case, accents and punctuation are the
normaliser's.
"""

import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..file_errors import reading, writing
from ..files import write_bytes

# fairseq's and wav2letter's mark after each word of a row of characters.
WORD_END = "|"
# SentencePiece's mark before each word (U+2581).
WORD_START = "▁"


def to_characters(text: str) -> list[str]:
    """Convert a text to one unit per Unicode character and `|` after every word.

    Raises:
        ValueError: the text contains `|`, which would be read as a word end.
    """
    if WORD_END in text:
        raise ValueError(
            f"text {text[:80]!r} contains {WORD_END!r}, which marks the ends of words; remove it in normalisation"
        )
    return [unit for word in text.split() for unit in (*word, WORD_END)]


def from_characters(units: Iterable[str]) -> str:
    """Convert characters back to a text with single spaces; a missing last `|` and repeated ones are allowed."""
    return " ".join("".join(units).replace(WORD_END, " ").split())


def from_pieces(units: Iterable[str]) -> str:
    """Convert SentencePiece units, `▁` at the beginnings of words, back to a text with single spaces."""
    return " ".join("".join(units).replace(WORD_START, " ").split())


def are_pieces(symbols: Iterable[str]) -> bool:
    """Return whether symbols of a dictionary are SentencePiece units: one begins with `▁`."""
    return any(symbol.startswith(WORD_START) for symbol in symbols)


class SentencePieces:
    """A SentencePiece model: texts to pieces and back.

    `model` holds the bytes of a `.model` file, which are small enough to be part of a checkpoint.

    Raises:
        ValueError: the bytes are no model.
    """

    def __init__(self, model: bytes) -> None:
        from sentencepiece import SentencePieceProcessor

        self.model = model
        reason = "no pieces"
        try:
            self._processor = SentencePieceProcessor()
            is_loaded = bool(model) and self._processor.LoadFromSerializedProto(model)
        except RuntimeError as error:
            is_loaded, reason = False, str(error)
        if not is_loaded or not self._processor.get_piece_size():
            raise ValueError(
                f"SentencePiece: these {len(model)} bytes are not a .model file ({reason}); train the model again"
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "SentencePieces":
        """Read a `.model` file; raise FileError when it cannot be read, or is damaged."""
        with reading(path, "a SentencePiece model", advice="train it again or give another file"):
            return cls(Path(path).read_bytes())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as a `.model` file."""
        with writing(path):
            write_bytes(path, self.model)

    @property
    def symbols(self) -> list[str]:
        """The pieces in the model's order, without `<unk>`."""
        ids = range(self._processor.get_piece_size())
        return [self._processor.id_to_piece(i) for i in ids if not self._processor.is_unknown(i)]

    def encode(self, text: str) -> list[str]:
        """Convert a normalised text to pieces; characters that did not occur in training are kept."""
        pieces: list[str] = self._processor.encode(text, out_type=str)
        return pieces


def train_pieces(texts: Iterable[str], num_pieces: int, *, kind: str = "unigram") -> SentencePieces:
    """Train SentencePiece on normalised sentences, in one thread, with a reproducible result.

    SentencePiece's normalisation is off: NFKC would turn `ŀ` into `l·`.

    Args:
        num_pieces: number of pieces without `<unk>`, at most; fewer when the texts have no more.
        kind: "unigram" (Kudo 2018) or "bpe" (Sennrich et al. 2016).

    Raises:
        ValueError: no text, fewer pieces than different characters, or an unknown kind.
    """
    from sentencepiece import SentencePieceTrainer

    if kind not in {"unigram", "bpe"}:
        raise ValueError(f"SentencePiece: kind unigram or bpe expected, found {kind!r}; change the setting")
    model = io.BytesIO()
    characters = {WORD_START}

    def seen() -> Iterator[str]:
        for text in texts:
            characters.update(*text.split())
            yield text

    try:
        SentencePieceTrainer.train(
            sentence_iterator=seen(),
            model_writer=model,
            model_type=kind,
            vocab_size=num_pieces + 1,  # and <unk>
            hard_vocab_limit=False,  # fewer pieces where the texts have no more
            normalization_rule_name="identity",
            character_coverage=1.0,
            unk_id=0,
            # fairseq's dictionary adds the other special symbols.
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(f"SentencePiece: {_fault(characters, num_pieces, error)}") from error
    return SentencePieces(model.getvalue())


def _fault(characters: set[str], num_pieces: int, error: RuntimeError) -> str:
    """Explain why training failed."""
    if characters == {WORD_START}:
        return "the texts have no words; give others"
    if num_pieces < len(characters):
        return (
            f"{len(characters)} pieces or more expected, one for each character of the texts, found {num_pieces}; ask "
            "for more pieces"
        )
    return f"training failed ({error}); give other texts"


def count_units(rows: Iterable[Iterable[str]]) -> dict[str, int]:
    """Count units for `dictionary.write_dictionary`: the most frequent first, equal counts by code point."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
