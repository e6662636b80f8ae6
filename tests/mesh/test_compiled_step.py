"""The compiled training step: what the devices send each other."""

import dataclasses
import math
import re
from functools import partial

import pytest
from runs import SETTINGS, random_params
from tiny import CONFIG, CopyStream

from jaxtrunc.core.mesh import compute_mesh
from jaxtrunc.models import Execution, leaf_class
from jaxtrunc.train.batches import step_batch
from jaxtrunc.train.finetune import _loss
from jaxtrunc.train.layout import laid_out, masters, optimiser_state
from jaxtrunc.train.optimiser import adamw
from jaxtrunc.train.scope import split
from jaxtrunc.train.step import TrainState, make_step

DEEP = dataclasses.replace(CONFIG, num_layers=5, hidden_size=32, intermediate_size=48, num_heads=4, num_kv_heads=2)


def compiled(mesh, scan: bool) -> str:
    """The optimised program of one step."""
    parts = split(random_params(DEEP), lambda path: leaf_class(DEEP, path), "linear")
    trained, frozen = (laid_out(leaves, mesh) for leaves in parts)
    trained = masters(trained, mesh)
    optimiser = adamw(SETTINGS, 6, dict.fromkeys(trained, True))
    state = TrainState(trained, optimiser_state(optimiser, trained, mesh))
    step = make_step(partial(_loss, cfg=DEEP, execution=Execution(scan=scan)), optimiser, 1, state, mesh)
    return step.lower(state, frozen, step_batch(next(CopyStream(rows=16)), mesh)).compile().as_text()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("shape", "scan"), [((1, 8, 1), False), ((2, 2, 2), True)])
def test_no_stack_of_kernels_is_gathered(shape, scan):
    program = re.sub(r"/\*.*?\*/", "", compiled(compute_mesh(*shape), scan))
    results = re.findall(r"= (\([^=]*?\)|\S+) all-gather(?:-start)?\(", program)
    assert results
    shapes = [tuple(map(int, found.split(","))) for result in results for found in re.findall(r"f32\[([\d,]+)\]", result)]
    smallest = DEEP.num_layers * DEEP.hidden_size * DEEP.num_kv_heads * DEEP.head_dim // shape[2]  # a stack of k_proj
    for found in shapes:
        assert not (found[0] == DEEP.num_layers and math.prod(found) >= smallest), found
