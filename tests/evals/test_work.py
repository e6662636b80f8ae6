"""What the compiled evaluation computes and holds, as XLA counts it, against formulas: never more than is needed."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from tiny_eval import CONFIG

from jaxtrunc.evals import Scorer
from jaxtrunc.models import Execution, abstract_params, flops
from jaxtrunc.models.apart import Apart

WIDE = dataclasses.replace(CONFIG, vocab_size=4096, hidden_size=128, intermediate_size=256, num_layers=3, num_heads=4,
                           num_kv_heads=2, head_dim=32)
ROWS, TOKENS, PREFIX, PROMPTS = 8, 48, 40, 2  # of which PROMPTS lie in each row


@pytest.fixture(scope="module")
def compiled():
    """The program that scores a batch whose prompts begin alike; its weights are arguments."""
    scorer = Scorer(WIDE, Execution(scan=False))
    past = jax.ShapeDtypeStruct((WIDE.num_layers, 1, PREFIX, WIDE.num_kv_heads, WIDE.head_dim), jnp.float32)
    *packed, label_ids = (jax.ShapeDtypeStruct(shape, jnp.int32) for shape in (
        (ROWS, TOKENS), (ROWS, TOKENS), (ROWS, PROMPTS), (ROWS * PROMPTS,), (2,)))
    params = abstract_params(WIDE)
    apart = jax.tree.map(lambda leaf: Apart([jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)] * WIDE.num_layers), params["layers"])
    return scorer._last.lower(({**params, "layers": apart}, params), (past, past), tuple(packed), label_ids).compile()


def test_operations(compiled):
    """Layers at every token, the last one's queries and MLP and the head at the last token of each prompt; attention beside it."""
    needed = flops.body(WIDE, ROWS * TOKENS, ROWS * PROMPTS) + ROWS * PROMPTS * flops.head(WIDE)
    seen = WIDE.num_heads * WIDE.head_dim * (PREFIX + TOKENS)  # scores and their use, of one query, padding included
    attention = 2 * 2 * seen * ROWS * ((WIDE.num_layers - 1) * TOKENS + PROMPTS)
    assert needed < compiled.cost_analysis()["flops"] <= 1.05 * (needed + attention)


def test_no_logits_but_at_the_last_token(compiled):
    """Temporary memory: one layer's activations of the batch and logits of one token a prompt."""
    token = WIDE.hidden_size * 4 + 2 * WIDE.intermediate_size + 2 * WIDE.num_heads * (PREFIX + TOKENS)
    bound = 4 * (ROWS * TOKENS * token + 2 * ROWS * PROMPTS * WIDE.vocab_size)  # and no copy of a kernel
    assert compiled.memory_analysis().temp_size_in_bytes <= bound < 4 * ROWS * TOKENS * WIDE.vocab_size
