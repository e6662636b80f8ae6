"""What LoRA trains and what it leaves alone: bits at the start, leaves, memory, meshes, resuming."""

import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lora_rows import RandomStream, make_batch, noisy

from jaxtrunc.core.checkpoints import CheckpointStore
from jaxtrunc.core.errors import RunFailed
from jaxtrunc.core.mesh import compute_mesh
from jaxtrunc.core.trees import flatten, unflatten
from jaxtrunc.models import DecoderConfig, Execution, RopeConfig, abstract_params, factor_path, hf_names, hidden_states, leaf_class
from jaxtrunc.train import TrainSettings
from jaxtrunc.train.batches import step_batch
from jaxtrunc.train.finetune import _loss as full_loss
from jaxtrunc.train.layout import optimiser_state
from jaxtrunc.train.lora import Adapter, Target, _loss, train_lora
from jaxtrunc.train.optimiser import adamw
from jaxtrunc.train.step import Program, TrainState, per_target

SOME_FACTOR = "layers/attn/q_proj/lora_b"
SETTINGS = TrainSettings(learning_rate=1e-2, batch_size=8, epochs=2, checkpoint_every=3, keep="last")


def tree(base, factors):
    return unflatten(flatten(base.params) | factors)


def trained(base, directory, adapter=None, stream=None, settings=SETTINGS, **options):
    adapter = adapter or Adapter(base.targets(), 2)
    return train_lora(base.params, base.cfg, adapter, stream or RandomStream(), settings, directory, execution=Execution(),
                      **options)


@pytest.fixture(scope="session")
def whole(base, tmp_path_factory):
    """One run from beginning to end: its directory and the tree that came out."""
    directory = tmp_path_factory.mktemp("whole")
    before = {path: np.array(leaf) for path, leaf in flatten(base.params).items()}
    return directory, flatten(trained(base, directory)), before


@pytest.mark.parametrize("scan", [False, True], ids=["unrolled", "scanned"])
def test_it_begins_as_the_base_bit_for_bit(base, scan):
    adapter, batch = Adapter(base.targets(), 4), make_batch(1)
    forward = jax.jit(partial(hidden_states, cfg=base.cfg, execution=Execution(scan=scan)))
    of = partial(forward, tokens=batch.tokens, lengths=batch.lengths)
    before = np.asarray(of(base.params))
    np.testing.assert_array_equal(of(adapter.applied(tree(base, adapter.start(0, None)))), before)
    assert not np.array_equal(of(adapter.applied(tree(base, noisy(adapter.start(0, None))))), before)


def test_only_factors_are_trained(base, whole):
    directory, after, before = whole
    for path, leaf in before.items():
        assert after[path] is flatten(base.params)[path]
        np.testing.assert_array_equal(leaf, after[path])
    start = Adapter(base.targets(), 2).start(0, None)
    assert set(after) - set(before) == set(start)
    assert all(not np.array_equal(leaf, after[path]) for path, leaf in start.items())
    state = optimiser_state(adamw(SETTINGS, 8, dict.fromkeys(start, True)), start, None)
    with CheckpointStore(directory / "checkpoints") as store:
        stored = store.load(8, TrainState(start, state))  # refuses a checkpoint that holds anything else
    assert sum(leaf.size for leaf in jax.tree.leaves(stored)) < 3 * sum(leaf.size for leaf in start.values()) + 10


def test_layers_and_matrices_that_are_not_chosen_stay(base, tmp_path):
    chosen = tuple(target for target in base.targets((1,)) if "q_proj" in target.path)
    adapter = Adapter(chosen, 2)
    params = trained(base, tmp_path, adapter, settings=replace(SETTINGS, max_steps=1))
    assert set(flatten(params)) - set(flatten(base.params)) == {factor_path(chosen[0].path, f"lora_{side}") for side in "ab"}
    assert set(adapter.by_name(params)) == {"model.layers.1.self_attn.q_proj.weight"}
    applied = flatten(adapter.applied(params))[SOME_FACTOR]
    assert [bool(jnp.any(layer)) for layer in applied] == [False, True]


def test_a_resumed_run_gives_the_same_bits(base, whole, tmp_path):
    poisoned = RandomStream()
    sound = poisoned._batch

    def fails(entry):
        if poisoned.position >= 5:
            raise KeyboardInterrupt
        return sound(entry)

    poisoned._batch = fails
    with pytest.raises(KeyboardInterrupt):
        trained(base, tmp_path / "killed", stream=poisoned)
    again = RandomStream()
    resumed = flatten(trained(base, tmp_path / "killed", stream=again, resume=True))
    assert len(again.seen) < 8, "it began anew"
    for path in Adapter(base.targets(), 2).start(0, None):
        np.testing.assert_array_equal(whole[1][path], resumed[path])


def test_a_loss_that_is_no_number_stops_it(base, tmp_path):
    with pytest.raises(RunFailed, match="not finite"):
        broken = jax.tree.map(lambda leaf: leaf * jnp.nan, base.params)
        train_lora(broken, base.cfg, Adapter(base.targets(), 2), RandomStream(), SETTINGS, tmp_path, execution=Execution())


@pytest.mark.slow
def test_a_mesh_gives_the_same_factors(base, whole, tmp_path):
    alone = Adapter(base.targets(), 2).by_name(unflatten(whole[1]))
    mesh = compute_mesh(2, 2, 2)
    params = trained(base, tmp_path, mesh=mesh, validate=lambda params: float(jnp.mean(flatten(params)[SOME_FACTOR])))
    for name, pair in Adapter(base.targets(), 2).by_name(params).items():
        for ours, wanted in zip(pair, alone[name], strict=True):
            np.testing.assert_allclose(ours, wanted, atol=2e-4, err_msg=name)


WIDE = DecoderConfig(family="qwen2", vocab_size=24, hidden_size=256, intermediate_size=512, num_layers=2, num_heads=2,
                     num_kv_heads=2, head_dim=128, max_positions=64, rms_norm_eps=1e-6, rope=RopeConfig(theta=1e4),
                     tie_embeddings=True, qkv_bias=True)
LINEARS = sorted(path for path in flatten(abstract_params(WIDE)) if leaf_class(WIDE, path) == "linear")


def lora_step(scan):
    """The step of LoRA on a wide model, and what it is given, as shapes."""
    shapes, names = flatten(abstract_params(WIDE)), hf_names(WIDE)
    adapter = Adapter(tuple(Target(path, shapes[path].shape, (0, 1), tuple(names[path])) for path in LINEARS), 2)
    return step_on(adapter.start(0, None), shapes, partial(_loss, adapter=adapter, cfg=WIDE, execution=Execution(scan=scan)))


def full_step(scan):
    """The same of full fine-tuning."""
    shapes = flatten(abstract_params(WIDE))
    frozen = {path: leaf for path, leaf in shapes.items() if path not in LINEARS}
    loss = partial(full_loss, cfg=WIDE, execution=Execution(scan=scan))
    return step_on({path: shapes[path] for path in LINEARS}, frozen, loss)


def step_on(trained, frozen, loss):
    optimiser = adamw(SETTINGS, 8, dict.fromkeys(trained, True))
    state = TrainState(trained, jax.eval_shape(optimiser.init, trained))
    return Program(per_target(loss, 1), optimiser).compiled(state, None), (state, frozen, step_batch(make_batch(0, rows=2)))


@pytest.mark.parametrize("scan", [False, True], ids=["unrolled", "scanned"])
def test_no_gradient_of_the_size_of_the_model(scan):
    """Full fine-tuning, which has one, shows that the test would see it."""
    shapes = flatten(abstract_params(WIDE))
    copy, memory = 4 * sum(shapes[path].size for path in LINEARS), {}
    for name, (step, given) in {"lora": lora_step(scan), "full": full_step(scan)}.items():
        products = re.findall(r"f32\[([\d,]+)\] = dot_general", str(jax.make_jaxpr(step)(*given)))
        sizes = [tuple(map(int, product.split(","))) for product in products]
        large = [size for size in sizes if sorted(size[-2:]) in ([256, 256], [256, 512])]
        assert len(sizes) > 10 and bool(large) == (name == "full"), large
        memory[name] = step.lower(*given).compile().memory_analysis() if scan else None
    if not scan:
        return  # on CPU an unrolled pass copies a slice of every kernel, which hides what a gradient takes
    assert memory["lora"].temp_size_in_bytes < memory["full"].temp_size_in_bytes - 0.9 * copy
    assert memory["lora"].output_size_in_bytes < 0.05 * copy, "more than factors and their moments comes out"
