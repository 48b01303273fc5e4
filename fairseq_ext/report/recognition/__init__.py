"""The result type `recognition`: word and character error rates of recognisers, by decoder."""

from ...scoring.recognition import scores
from ...scoring.scored_system import RECOGNITION
from ..result_type import ResultType
from . import folds, sections, tables, tiles

RESULT_TYPE = ResultType(
    name=RECOGNITION,
    required=scores.REQUIRED,
    summarise=scores.summarise,
    figures=scores.figures,
    tables=tables.all_tables,
    main_tables=tables.main_tables,
    sections=sections.SECTIONS,
    tiles=tiles.tiles,
    pool=folds.pool,
)
