"""Training for one objective under another without spectral interference: SIFT (arXiv 2604.04231) and its rivals. Sees pytrees, never models.

    tx = sift(3e-4, rank=0.0625, where=Window("down_proj", 0.1, 0.3))
    updates, state = tx.update(g_f, state, params, constraint_grads=g_g)
"""

from jaxtrunc.steer.clip import joint_clip
from jaxtrunc.steer.gate import Schedule
from jaxtrunc.steer.options import SiftOptions
from jaxtrunc.steer.sift import AdamConfig, routed, scale_by_shape, sift, sift_metrics, sum_constraint
from jaxtrunc.steer.transform import Metrics, SiftState, scale_by_sift
from jaxtrunc.steer.where import PRESETS, Window

__all__ = [
    "PRESETS", "AdamConfig", "Metrics", "Schedule", "SiftOptions", "SiftState", "Window", "joint_clip", "routed", "scale_by_shape",
    "scale_by_sift", "sift", "sift_metrics", "sum_constraint",
]
