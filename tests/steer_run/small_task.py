"""A steering task on a random decoder: forget the answers of some questions, keep those of others."""

import numpy as np

from jaxtrunc.core.jsonio import write_json
from jaxtrunc.core.trees import flatten, unflatten
from jaxtrunc.models import DecoderConfig, Execution, RopeConfig, abstract_params
from jaxtrunc.recipes.steer.aims import model_logits
from jaxtrunc.recipes.steer.offline.base import hf_config
from jaxtrunc.recipes.steer.rows import answer_table
from jaxtrunc.recipes.steer.task import SteerTask
from jaxtrunc.steer.losses import cross_entropy

# All matrices of one shape: SIFT compiles a loop for each.
CONFIG = DecoderConfig(family="llama", vocab_size=32, hidden_size=16, intermediate_size=16, num_layers=2, num_heads=2,
                       num_kv_heads=2, head_dim=8, max_positions=32, rms_norm_eps=1e-5, rope=RopeConfig(10_000.0),
                       tie_embeddings=True)
SIDES = {"unlearn": {"forget": ("forget",), "retain": ("retain",)}, "speech": {"rows": ("",)},
         "safety": {"pairs": ("chosen", "rejected"), "helpful": ("helpful",)},
         "hallucination": {"rows": ("span", "prefix", "corrected")}}


def small_task(kind="unlearn", source=None, rows=8, seed=0) -> SteerTask:
    rng = np.random.default_rng(seed)
    tables = {name: {key: array for side in sides for key, array in table(side, rng, rows).items()}
              for name, sides in SIDES[kind].items()}
    return SteerTask("small", kind, CONFIG, weights(rng), tables,
                     lambda params, split: loss_of(params, tables), {"loss": "lower"}, source,
                     text_vocabulary=16 if kind == "speech" else None)


def weights(rng):
    """Drawn by NumPy: the model's own draw takes seconds to compile."""
    shapes = flatten(abstract_params(CONFIG))
    return unflatten({path: np.ones(leaf.shape, np.float32) if path.endswith("scale") else
                      np.float32(0.02 * rng.normal(size=leaf.shape)) for path, leaf in shapes.items()})


def table(side, rng, rows):
    prompts, answers = (rng.integers(1, 32, (rows, length)).tolist() for length in (4, 3))
    return answer_table(side, prompts, answers, 8)


def loss_of(params, tables):
    """Cross-entropy of the first table's labels."""
    first = next(iter(tables.values()))
    tokens, labels = (next(array for key, array in first.items() if key.endswith(end)) for end in ("tokens", "labels"))
    return {"loss": float(cross_entropy(model_logits(params, tokens, cfg=CONFIG, execution=Execution()), labels))}


def source_directory(place):
    """A directory whose config.json goes along with a written model."""
    write_json(place / "config.json", hf_config(CONFIG))
    return place
