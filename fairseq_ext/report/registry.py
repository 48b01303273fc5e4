"""The types of result. A new one is a package with a `RESULT_TYPE`, and a line here."""

from __future__ import annotations

from . import classification, pretraining, recognition, verification
from .result_type import ResultType

# In the order of RESULTS.md and of the page.
RESULT_TYPES: dict[str, ResultType] = {
    result_type.name: result_type
    for result_type in (
        recognition.RESULT_TYPE,
        pretraining.RESULT_TYPE,
        classification.RESULT_TYPE,
        verification.RESULT_TYPE,
    )
}
