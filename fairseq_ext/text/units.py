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

from ..files import write_bytes

# fairseq's and wav2letter's mark after each word of a row of characters.
WORD_END = "|"
# SentencePiece's mark before each word (U+2581).
WORD_START = "▁"


def to_characters(text: str) -> list[str]:
    """Convert a text to one unit per Unicode character and `|` after every word.

    Args:
        text: normalised text; any amount of space separates words.

    Returns:
        The units; none for an empty text.

    Raises:
        ValueError: the text contains `|`, which would be read as a word end.
    """
    if WORD_END in text:
        raise ValueError(
            f"text {text[:80]!r} contains {WORD_END!r}, which marks the ends of words; remove it in normalisation"
        )
    return [unit for word in text.split() for unit in (*word, WORD_END)]


def from_characters(units: Iterable[str]) -> str:
    """Convert characters back to a text; a missing last `|` and repeated ones are allowed.

    Args:
        units: characters and `|`.

    Returns:
        The text, with single spaces.
    """
    return " ".join("".join(units).replace(WORD_END, " ").split())


def from_pieces(units: Iterable[str]) -> str:
    """Convert SentencePiece units back to a text.

    Args:
        units: pieces, `▁` at the beginnings of words.

    Returns:
        The text, with single spaces.
    """
    return " ".join("".join(units).replace(WORD_START, " ").split())


def are_pieces(symbols: Iterable[str]) -> bool:
    """Return whether symbols are SentencePiece units.

    Args:
        symbols: symbols of a dictionary, with or without special ones.

    Returns:
        True when a symbol begins with `▁`.
    """
    return any(symbol.startswith(WORD_START) for symbol in symbols)


class SentencePieces:
    """A SentencePiece model: texts to pieces and back.

    Args:
        model: bytes of a `.model` file, which are small enough to be part of a checkpoint.

    Raises:
        ValueError: the bytes are no model.
    """

    def __init__(self, model: bytes) -> None:
        from sentencepiece import SentencePieceProcessor

        self.model = model
        try:
            self._processor = SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise ValueError(
                f"SentencePiece: these {len(model)} bytes are not a .model file ({error}); train the model again"
            ) from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "SentencePieces":
        """Read a model.

        Args:
            path: `.model` file.

        Returns:
            The model.
        """
        return cls(Path(path).read_bytes())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as a `.model` file.

        Args:
            path: file to write.
        """
        write_bytes(path, self.model)

    @property
    def symbols(self) -> list[str]:
        """The pieces in the model's order, without `<unk>`."""
        ids = range(self._processor.get_piece_size())
        return [self._processor.id_to_piece(i) for i in ids if not self._processor.is_unknown(i)]

    def encode(self, text: str) -> list[str]:
        """Convert a text to pieces.

        Args:
            text: normalised text.

        Returns:
            The pieces; characters that did not occur in training are kept.
        """
        pieces: list[str] = self._processor.encode(text, out_type=str)
        return pieces

    def decode(self, units: Iterable[str]) -> str:
        """Convert pieces back to a text.

        Args:
            units: pieces.

        Returns:
            The text, with single spaces.
        """
        return from_pieces(units)


def train_pieces(texts: Iterable[str], num_pieces: int, *, kind: str = "unigram") -> SentencePieces:
    """Train SentencePiece on texts, in one thread, with a reproducible result.

    SentencePiece's normalisation is off: NFKC would turn `ŀ` into `l·`.

    Args:
        texts: normalised sentences.
        num_pieces: number of pieces without `<unk>`, at most; fewer when the texts have no more.
        kind: "unigram" (Kudo 2018) or "bpe" (Sennrich et al. 2016).

    Returns:
        The model.

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
    """Count units, for `dictionary.write_dictionary`.

    Args:
        rows: units of each text.

    Returns:
        Unit -> count, the most frequent first, equal counts by code point.
    """
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
