"""The result type `verification`: whether two recordings share a label, by the similarity of their embeddings."""

from ...scoring import verification_scoring
from ...scoring.scored_system import VERIFICATION
from ..result_type import ResultType
from . import sections, tables

RESULT_TYPE = ResultType(
    name=VERIFICATION,
    required=verification_scoring.REQUIRED,
    summarise=verification_scoring.summarise,
    figures=verification_scoring.figures,
    tables=tables.all_tables,
    main_tables=tables.all_tables,
    sections=sections.SECTIONS,
)
