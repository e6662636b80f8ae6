"""Bytes per device: exactly what real arrays hold on eight devices, and activations as XLA counts them."""

import jax
import jax.numpy as jnp
import optax
import pytest
from tiny_job import decoder, job_of, machine_of

from jaxtrunc.core.mesh import batch_sharding, compute_mesh, param_shardings, replicated
from jaxtrunc.core.trees import flatten
from jaxtrunc.models import Execution, init_params, leaf_class
from jaxtrunc.planning.finetune import state_bytes, step_bytes
from jaxtrunc.planning.meshes import MeshShape, bytes_per_device
from jaxtrunc.train import TrainSettings
from jaxtrunc.train.batches import StepBatch
from jaxtrunc.train.layout import laid_out, masters, optimiser_state
from jaxtrunc.train.loss import loss_sum
from jaxtrunc.train.optimiser import adamw
from jaxtrunc.train.scope import split
from jaxtrunc.train.step import Program, TrainState, per_target

MESHES = [MeshShape(8, 1, 1), MeshShape(1, 8, 1), MeshShape(1, 4, 2), MeshShape(2, 2, 2), MeshShape(1, 1, 8)]


def held(arrays, device) -> int:
    """Bytes of a tree of arrays on one device."""
    shards = (shard for array in jax.tree.leaves(arrays) for shard in array.addressable_shards)
    return sum(shard.data.nbytes for shard in shards if shard.device == device)


@pytest.mark.parametrize("scope", ["linear", "all"])
@pytest.mark.parametrize("sizes", MESHES, ids=str)
def test_parameters_and_adam_state_are_what_real_arrays_hold(sizes, scope):
    cfg, settings = decoder(48, 80, 3, 6), TrainSettings(scope=scope)  # sizes that not every mesh divides
    mesh = compute_mesh(sizes.data, sizes.fsdp, sizes.tensor)
    params = laid_out(flatten(init_params(cfg, jax.random.key(0))), mesh)
    trained = masters(split(params, lambda path: leaf_class(cfg, path), scope)[0], mesh)
    optimiser = adamw(settings, 10, dict.fromkeys(trained, True))
    job, machine = job_of(cfg, settings, 8), machine_of(sizes, accelerators=True)
    for device in jax.devices():
        assert held(params, device) == bytes_per_device(job.params, sizes)
        assert held((trained, optimiser_state(optimiser, trained, mesh)), device) == state_bytes(job, machine)


@pytest.mark.parametrize(("sizes", "remat", "rows", "tokens"), [
    (MESHES[1], False, 64, 64), (MESHES[2], True, 64, 64), (MESHES[3], False, 8, 16)], ids=str)
def test_a_step_on_a_mesh_takes_what_xla_says(sizes, remat, rows, tokens):
    cfg, settings = decoder(), TrainSettings(batch_size=rows, remat=remat)
    mesh = compute_mesh(sizes.data, sizes.fsdp, sizes.tensor)
    found = analysed_step_bytes(cfg, settings, rows, tokens, mesh, scan=True)
    expected = step_bytes(job_of(cfg, settings, tokens), machine_of(sizes, accelerators=True))
    assert expected == pytest.approx(found, rel=0.25)


@pytest.mark.parametrize(("width", "layers", "rows", "tokens", "remat"), [
    (256, 2, 1, 8, False), (128, 2, 16, 128, False), (128, 2, 16, 128, True)])
def test_a_step_on_one_cpu_takes_what_xla_says(width, layers, rows, tokens, remat):
    cfg, settings = decoder(width, 4 * width, layers, 4), TrainSettings(batch_size=rows, remat=remat)
    found = analysed_step_bytes(cfg, settings, rows, tokens, None, scan=False)
    assert step_bytes(job_of(cfg, settings, tokens), machine_of(MeshShape(), accelerators=False)) == pytest.approx(found, rel=0.1)


def analysed_step_bytes(cfg, settings, rows, tokens, mesh, *, scan) -> int:
    """Temporary bytes per device of the compiled training step; nothing is run."""
    def classes(path):
        return leaf_class(cfg, path)

    trained, frozen = split(job_of(cfg, settings, tokens).params, classes, settings.scope)
    optimiser = adamw(settings, 10, {path: classes(path) != "vector" for path in trained})
    state = TrainState(trained, jax.eval_shape(optimiser.init, trained))
    batch = StepBatch(*(jax.ShapeDtypeStruct(shape, jnp.int32) for shape in ((rows, tokens), (rows,), (rows, 2), (rows, 2))))
    if mesh is not None:
        trained, frozen = (placed(leaves, param_shardings(mesh, leaves)) for leaves in (trained, frozen))
        layout = optax.tree_map_params(optimiser, lambda _, leaf: leaf.sharding, state.optimiser, trained,
                                       transform_non_params=lambda _: replicated(mesh))
        state = TrainState(trained, placed(state.optimiser, layout))
        batch = placed(batch, jax.tree.map(lambda _: batch_sharding(mesh), batch))
    execution = Execution(remat=settings.remat, scan=scan, mesh=mesh)
    step = Program(per_target(lambda params, part: loss_sum(params, cfg, part, execution), 1), optimiser).compiled(state, mesh)
    return step.lower(state, frozen, batch).compile().memory_analysis().temp_size_in_bytes


def placed(shapes, layout):
    return jax.tree.map(lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes, layout)
