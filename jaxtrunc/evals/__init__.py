"""Scoring, metrics with honest intervals, the sweep, the choice of k and the verdict."""

from jaxtrunc.evals.evalset import EvalSet, build_eval_set
from jaxtrunc.evals.records import decode_predictions, make_record, record_key
from jaxtrunc.evals.scoring import Scorer, Scores
from jaxtrunc.evals.statistics import Statistics
from jaxtrunc.evals.truth import Truth

__all__ = [
    "EvalSet", "Scorer", "Scores", "Statistics", "Truth", "build_eval_set", "decode_predictions", "make_record",
    "record_key",
]
