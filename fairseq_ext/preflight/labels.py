"""Check of one label stream: empty rows, OOV and <unk>, one class per row, classes without rows, CTC."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path

from ..dictionary import read_dictionary
from ..file_errors import reading
from .findings import Findings, FindingType, Severity
from .lines import tolerant_lines

__all__ = ["CtcLimits", "LabelCheck", "load_dictionary", "looks_like_classes"]

EMPTY_LABEL = FindingType("empty label", "leave these utterances out or label them")
BAD_DICTIONARY = FindingType("bad dictionary", "write it again with fairseq_ext.dictionary.write_dictionary")
OOV_TRAIN = FindingType(
    "symbols missing in the dictionary, in training", "build the dictionary from these labels"
)
OOV_OTHER = FindingType(
    "symbols missing in the dictionary: they become <unk>",
    "normalise the text, or accept that they cannot be recognised",
    Severity.WARNING,
)
OOV_CLASS = FindingType("class missing in the dictionary", "build the dictionary from all classes")
UNK = FindingType(
    "<unk> written out in labels", "keep the symbols: the dictionary maps them", Severity.WARNING
)
NOT_ONE_CLASS = FindingType("not exactly one class in a row", "write one symbol per row")
NO_EXAMPLES = FindingType(
    "class without examples in training", "add examples, or remove it from the dictionary"
)
NO_TESTS = FindingType(
    "class without examples in a held-out split",
    "its recall is undefined there: add examples, or say so beside the results",
    Severity.WARNING,
)
CTC_INFEASIBLE = FindingType(
    "CTC-infeasible: fewer frames than labels plus repeats", "leave them out, or use a smaller stride"
)

_UNK_SYMBOL = "<unk>"
# A stream is taken for classes when most of its first rows hold a single symbol.
_CLASS_ROWS = 100


@dataclass(frozen=True, slots=True)
class CtcLimits:
    """The number of frames that an encoder computes from a recording."""

    stride_samples: int = 320  # audio samples from one frame to the next
    field_samples: int = 0  # audio samples that one frame sees; 0 takes the stride

    def num_frames(self, num_samples: int) -> int:
        """Return the number of frames of the encoder's output for a number of audio samples, 0 or more."""
        seen = self.field_samples or self.stride_samples
        return max(0, (num_samples - seen) // self.stride_samples + 1)


@dataclass(slots=True)
class LabelCheck:
    """A check of the rows of one stream of one split, row by row."""

    path: Path  # path of the label file
    name: str  # suffix of the label file, the name of the stream
    is_training: bool  # whether the split is trained on: an OOV symbol is an error there
    is_class: bool  # one class per row
    # another stream may hold the row's class: an empty line says that this one is not known
    may_be_empty: bool
    dictionary: frozenset[str] | None  # symbols of the stream, or None without a dictionary
    ctc: CtcLimits | None  # the frames that must suffice, or None
    findings: Findings  # receives the problems
    num_rows: int = 0  # lines so far
    num_tokens: int = 0  # symbols so far
    num_oov: int = 0  # rows with symbols that the dictionary lacks
    num_unk: int = 0  # rows with a written <unk>
    num_empty: int = 0  # rows without a symbol
    classes: Counter[str] = field(default_factory=Counter)  # class -> rows

    def add(self, text: str, num_samples: int | None) -> None:
        """Check the next row; `num_samples`, the length of its audio, is None when it is not known."""
        self.num_rows += 1
        tokens = text.split()
        self.num_tokens += len(tokens)
        if not tokens:
            self.num_empty += 1
            if text or not self.may_be_empty:
                self._found(EMPTY_LABEL, f"the label is {'blank' if text else 'an empty line'}")
            return
        if self.is_class:
            self.classes.update(tokens[:1])
            if len(tokens) != 1:
                self._found(NOT_ONE_CLASS, f"{text[:80]!r} is not one symbol")
        self._check_symbols(tokens)
        if self.ctc is not None and num_samples is not None:
            self._check_frames(tokens, num_samples, self.ctc)

    def finish(self) -> None:
        """Check what only the whole stream shows."""
        finding_type = NO_EXAMPLES if self.is_training else NO_TESTS
        absent = sorted((self.dictionary or frozenset()) - self.classes.keys()) if self.is_class else []
        for symbol in absent:
            self.findings.add(finding_type, str(self.path), f"class {symbol!r} has no row")

    def _found(self, finding_type: FindingType, detail: str) -> None:
        self.findings.add(finding_type, f"{self.path}:{self.num_rows}", detail)

    def _check_symbols(self, tokens: Sequence[str]) -> None:
        if self.dictionary is None or self.dictionary.issuperset(tokens):
            return
        unknown = set(tokens) - self.dictionary
        if _UNK_SYMBOL in unknown:
            self.num_unk += 1
            self._found(UNK, f"the label has {_UNK_SYMBOL}")
        if unknown := unknown - {_UNK_SYMBOL}:
            self.num_oov += 1
            finding_type = OOV_CLASS if self.is_class else OOV_TRAIN if self.is_training else OOV_OTHER
            shown = " ".join(sorted(unknown))[:80]
            self._found(finding_type, f"not in dict.{self.name}.txt: {shown}")

    def _check_frames(self, tokens: Sequence[str], num_samples: int, ctc: CtcLimits) -> None:
        # Between two equal labels CTC needs a blank (Graves et al. 2006, section 3.1).
        repeats = sum(a == b for a, b in pairwise(tokens))
        num_frames = ctc.num_frames(num_samples)
        if num_frames < len(tokens) + repeats:
            needed = f"{len(tokens)} labels + {repeats} repeats"
            self._found(CTC_INFEASIBLE, f"{needed} do not fit into {num_frames} frames")


def load_dictionary(folder: Path, name: str, findings: Findings) -> frozenset[str] | None:
    """Read the symbols of `dict.{name}.txt`; None when it is missing, malformed or empty."""
    path = folder / f"dict.{name}.txt"
    if not path.exists():
        return None
    try:
        with reading(path, "a dictionary"):
            symbols = frozenset(read_dictionary(path))
    except ValueError as error:
        findings.add(BAD_DICTIONARY, name, str(error))
        return None
    if not symbols:
        findings.add(BAD_DICTIONARY, str(path), "there are no symbols")
    return symbols or None


def looks_like_classes(paths: Iterable[Path]) -> bool:
    """Return whether a stream has one class per row: most of the first non-empty rows of its files hold one symbol."""
    rows = (row for path in paths for line in tolerant_lines(path) if (row := line.split()))
    first = [len(row) == 1 for row in islice(rows, _CLASS_ROWS)]
    return sum(first) > len(first) / 2
