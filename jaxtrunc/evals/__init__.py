"""Scoring, metrics with honest intervals, the sweep, the choice of k and the verdict."""

from jaxtrunc.evals.evalset import EvalSet, build_eval_set
from jaxtrunc.evals.records import decode_predictions, make_record, record_key
from jaxtrunc.evals.scoring import Scorer, Scores
from jaxtrunc.evals.selection import oracle_k, select_k, without_predictions
from jaxtrunc.evals.statistics import Statistics
from jaxtrunc.evals.sweep import Applied, Outcome, Sweep, open_records
from jaxtrunc.evals.truth import VALIDATION, Truth
from jaxtrunc.evals.verdict import study_statistics

__all__ = [
    "VALIDATION", "Applied", "EvalSet", "Outcome", "Scorer", "Scores", "Statistics", "Sweep", "Truth", "build_eval_set",
    "decode_predictions", "make_record", "open_records", "oracle_k", "record_key", "select_k", "study_statistics",
    "without_predictions",
]
