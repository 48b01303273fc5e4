"""The result type `pretraining`: what the log of a self-supervised training holds at its end."""

from ...scoring import pretraining
from ...scoring.scored_system import PRETRAINING
from ..result_type import ResultType
from . import sections, tables

RESULT_TYPE = ResultType(
    name=PRETRAINING,
    required=pretraining.REQUIRED,
    summarise=pretraining.summarise,
    figures=pretraining.figures,
    tables=tables.all_tables,
    main_tables=tables.all_tables,
    sections=sections.SECTIONS,
)
