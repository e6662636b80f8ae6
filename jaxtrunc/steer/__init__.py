"""Training for one objective under another without spectral interference: SIFT (arXiv 2604.04231) and its rivals.

    tx = sift(3e-4, rank=0.0625, where=Window("down_proj", 0.1, 0.3))
    updates, state = tx.update(g_f, state, params, constraint_grads=g_g)

Sees pytrees, never models.
"""

from jaxtrunc.steer import losses, objectives
from jaxtrunc.steer.clip import joint_clip
from jaxtrunc.steer.combine import COMBINERS, combined, find_combiner
from jaxtrunc.steer.conflicts import Conflicts, profile_conflicts
from jaxtrunc.steer.gate import Schedule
from jaxtrunc.steer.objectives import Objectives, loss_pair
from jaxtrunc.steer.options import SiftOptions
from jaxtrunc.steer.sift import AdamConfig, muon, sift, sift_metrics, sum_constraint
from jaxtrunc.steer.transform import Metrics, SiftState, scale_by_sift
from jaxtrunc.steer.where import PRESETS, Window

__all__ = [
    "COMBINERS", "PRESETS", "AdamConfig", "Conflicts", "Metrics", "Objectives", "Schedule", "SiftOptions", "SiftState", "Window",
    "combined", "find_combiner", "joint_clip", "loss_pair", "losses", "muon", "objectives", "profile_conflicts", "scale_by_sift",
    "sift", "sift_metrics", "sum_constraint",
]
