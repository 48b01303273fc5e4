"""The result type `classification`: accuracy, macro-F1 and confusions of classifiers and probes."""

from ...scoring import classification
from ...scoring.scored_system import CLASSIFICATION
from ..result_type import ResultType
from . import folds, sections, tables, tiles
from .short_form import SHORT_FORM

RESULT_TYPE = ResultType(
    name=CLASSIFICATION,
    required=classification.REQUIRED,
    summarise=classification.summarise,
    figures=classification.figures,
    tables=tables.all_tables,
    main_tables=tables.main_tables,
    sections=sections.SECTIONS,
    tiles=tiles.tiles,
    pool=folds.pool,
    short_form=SHORT_FORM,
)
