"""The compiled training step: what the devices send each other."""

import dataclasses
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
from jaxtrunc.train.step import Program, TrainState, per_target

DEEP = dataclasses.replace(CONFIG, num_layers=5, hidden_size=32, intermediate_size=48, num_heads=4, num_kv_heads=2)


def compiled(mesh, scan: bool) -> str:
    """The optimised program of one step."""
    parts = split(random_params(DEEP), lambda path: leaf_class(DEEP, path), "linear")
    trained, frozen = (laid_out(leaves, mesh) for leaves in parts)
    trained = masters(trained, mesh)
    optimiser = adamw(SETTINGS, 6, dict.fromkeys(trained, True))
    state = TrainState(trained, optimiser_state(optimiser, trained, mesh))
    loss = partial(_loss, cfg=DEEP, execution=Execution(scan=scan, mesh=mesh))
    step = Program(per_target(loss, 1), optimiser).compiled(state, mesh)
    return step.lower(state, frozen, step_batch(next(CopyStream(rows=16, prefix=9)), mesh)).compile().as_text()  # type: ignore[attr-defined]


def results(program: str, operation: str) -> list[tuple[int, ...]]:
    """Shapes of the float32 arrays that come out of a collective operation, wherever it stands in the program."""
    found = re.findall(rf"= (\([^=]*?\)|\S+) {operation}(?:-start)?\(", re.sub(r"/\*.*?\*/", "", program))
    return [tuple(map(int, sizes.split(","))) for result in found for sizes in re.findall(r"f32\[([\d,]+)\]", result)]


@pytest.mark.parametrize(("shape", "scan"), [((1, 8, 1), False), ((2, 2, 2), True)])
def test_kernels_travel_to_the_rows_one_layer_at_a_time(shape, scan):
    """Along `fsdp` only kernels `(in, out)` are gathered: never a stack `(L, in, out)`, never activations `(B, T, …)`."""
    program = compiled(compute_mesh(*shape), scan)
    kernels = {(32, 16), (32, 32), (32, 48), (48, 32), (24, 32)}  # those of DEEP and its vocabulary
    whole = {(rows // (shape[2] if axis == 0 else 1), columns // (shape[2] if axis == 1 else 1))
             for rows, columns in kernels for axis in (0, 1)}
    gathered = results(program, "all-gather")
    assert gathered and set(gathered) <= whole
    rows = 16 // (shape[0] * shape[1])
    summed = [sizes for sizes in results(program, "all-reduce") if len(sizes) == 3]
    assert all(sizes[0] in (rows, 1) for sizes in summed) and bool(summed) == (shape[2] > 1)  # 1: what all rows begin with
