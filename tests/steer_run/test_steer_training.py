"""A steering run does what its parts say: losses beside NumPy, AdamW by hand, micro-batches, shared programs, peak and clipping."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_task import CONFIG, SIDES, small_task

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.trees import flatten
from jaxtrunc.models import Execution
from jaxtrunc.recipes.steer.aims import aim_of, losses_of, model_logits, with_reference
from jaxtrunc.recipes.steer.config import SteerConfig
from jaxtrunc.recipes.steer.program import Named, clipped, program, shared
from jaxtrunc.recipes.steer.rows import RowStream
from jaxtrunc.recipes.steer.settings import ConstraintSettings, PrimarySettings, SiftSettings, SteerTraining
from jaxtrunc.recipes.steer.train import steer_job, steer_run
from jaxtrunc.steer import Schedule

QUICK = SteerTraining(learning_rate=1e-2, max_steps=2, epochs=9, seed=3)


def config(method="sift", train=QUICK, **more) -> SteerConfig:
    return SteerConfig("small", method=method, sift={"rank": 0.25, **more.pop("sift", {})}, train=train, **more)


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def summed_log_probs(task, arrays, side):
    """log π of each row's answer and its tokens, float64."""
    labels = arrays[f"{side}_labels"]
    logits = np.asarray(model_logits(task.params, arrays[f"{side}_tokens"], cfg=CONFIG, execution=Execution()), np.float64)
    picked = np.take_along_axis(log_softmax(logits), np.maximum(labels, 0)[..., None], -1)[..., 0]
    return np.where(labels >= 0, picked, 0).sum(1), (labels >= 0).sum(1)


@pytest.mark.parametrize("kind", ["unlearn", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("safety", "hallucination"))])
def test_first_losses_are_those_of_the_reference(kind, tmp_path, lines):
    """At the reference itself a preference loss knows nothing; all others are means over answer tokens, times their weights."""
    task = small_task(kind)
    weights = {"constraint": ConstraintSettings(weight=3.0)}
    steer_run(task, config("adamw", dataclasses.replace(QUICK, max_steps=1), **weights), tmp_path, resume=False)
    batch = next(RowStream(task.tables, QUICK.batch_size, QUICK.seed)).arrays
    said = {side: summed_log_probs(task, batch, side) for sides in SIDES[kind].values() for side in sides}
    nll = {side: -total.sum() / tokens.sum() for side, (total, tokens) in said.items()}
    expected = {"unlearn": (2 / 0.1 * np.log(2), nll.get("retain")), "safety": (np.log(2), nll.get("helpful")),
                "hallucination": (-2 * nll.get("span", 0), nll.get("prefix", 0) + nll.get("corrected", 0))}[kind]
    found = lines(tmp_path)[0]
    np.testing.assert_allclose([found["primary"], found["constraint"]], [expected[0], 3 * expected[1]], rtol=1e-5)


@pytest.mark.slow
def test_adamw_on_the_sum_is_adamw_on_the_summed_loss(tmp_path):
    task, train = small_task(), dataclasses.replace(QUICK, scope="all", max_steps=3)
    found = steer_run(task, config("adamw", train), tmp_path, resume=False).params
    aim, factor = aim_of(task, PrimarySettings(), ConstraintSettings(), Execution())
    losses, stream = losses_of(aim, factor), RowStream(with_reference(task.tables, aim, task.params), 4, 3)
    optimiser, params = optax.adamw(1e-2, weight_decay=0.0), task.params
    gradient = jax.jit(jax.grad(lambda params, rows: losses.primary(params, rows) + losses.constraint(params, rows)))
    state = optimiser.init(params)
    for _ in range(3):
        updates, state = optimiser.update(gradient(params, dict(next(stream).arrays)), state, params)
        params = optax.apply_updates(params, updates)
    for path, leaf in flatten(params).items():
        np.testing.assert_allclose(flatten(found)[path], leaf, atol=3e-5, err_msg=path)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sift", "adamw"])
def test_two_micro_batches_are_one_batch(method, tmp_path):
    """Every row has as many answer tokens as any other, so that the mean of two means is the mean of all."""
    trains = {parts: dataclasses.replace(QUICK, accumulation=parts, scope="all") for parts in (1, 2)}
    runs = [steer_run(small_task(), config(method, train, sift={"threshold": -2.0}), tmp_path / str(parts), resume=False).params
            for parts, train in trains.items()]
    for (path, one), two in zip(flatten(runs[0]).items(), flatten(runs[1]).values(), strict=True):
        np.testing.assert_allclose(one, two, atol=2e-4, err_msg=path)


def test_runs_that_differ_in_seed_and_rate_share_their_program(tmp_path):
    jobs = [steer_job(small_task(seed=seed), config(train=dataclasses.replace(QUICK, learning_rate=rate, seed=seed)), tmp_path)
            for seed, rate in ((0, 1e-3), (1, 2e-3))]
    assert jobs[0].program is jobs[1].program
    assert [float(optax.tree.get(job.state.optimiser, "step_size")) for job in jobs] == [np.float32(1e-3), np.float32(2e-3)]
    other = steer_job(small_task(), config(sift={"threshold": None}), tmp_path)
    assert other.program is not jobs[0].program


@pytest.mark.slow
def test_the_rate_of_adam_leaves_is_its_own(tmp_path):
    """In the first step AdamW moves every entry by its rate, whatever the gradient."""
    train = dataclasses.replace(QUICK, scope="all", max_steps=1, adam_learning_rate=3e-4)
    task = small_task()
    found = flatten(steer_run(task, config(train=train), tmp_path, resume=False).params)
    moved = np.abs(np.asarray(found["final_norm/scale"]) - np.asarray(task.params["final_norm"]["scale"]))
    np.testing.assert_allclose(moved, 3e-4, rtol=1e-2)


def test_clipping_scales_both_by_one_factor():
    seen = []

    def spy(updates, state, params=None, *, constraint_grads):
        seen.append((updates, constraint_grads))
        return updates, state

    both = clipped(optax.GradientTransformationExtraArgs(lambda params: (), spy), 1.0)
    both.update(jnp.float32([3.0, 0.0]), (), constraint_grads=jnp.float32([0.0, 4.0]))
    np.testing.assert_allclose(np.concatenate(seen[0]), [0.6, 0, 0, 0.8], rtol=1e-6)


@pytest.mark.slow
def test_sift_settings_reach_the_optimiser(tmp_path, lines):
    """Confined to one matrix and one step, always on: it fires there and nowhere else."""
    name = "layers/mlp/down_proj/kernel[1]"
    chosen = {"threshold": None, "where": (name,), "when": {"steps": [1]}}
    done = steer_run(small_task(), config(sift=chosen), tmp_path, resume=False)
    fired = np.array([line["fired"] for line in lines(tmp_path)])
    expected = np.zeros((2, 14), bool)
    expected[1, done.matrices.index(name)] = True
    np.testing.assert_array_equal(fired, expected)


def test_presets_give_way_to_what_is_said():
    assert config(preset="unlearn").sift_settings().threshold is None
    assert config(preset="unlearn").sift_settings().where.kernels == "down_proj"
    assert config(preset="hallucination", sift={"threshold": 0.1}).sift_settings().threshold == 0.1
    assert config(sift={"when": {"start": 3, "every": 2}}).sift_settings().when == Schedule(3, None, 2)


@pytest.mark.slow
def test_rmu_moves_states_towards_the_vector_and_holds_the_others(tmp_path, lines):
    train = dataclasses.replace(QUICK, learning_rate=3e-2, max_steps=20)
    steer_run(small_task(), config(train=train, primary=PrimarySettings("rmu", c=2.0)), tmp_path, resume=False)
    found = lines(tmp_path)
    assert found[0]["constraint"] < 1e-12 < found[-1]["constraint"], "nothing has moved before the first step"
    assert found[-1]["primary"] < found[0]["primary"]


@pytest.mark.parametrize(("more", "words"), [
    ({"primary": PrimarySettings("dpo")}, "npo or rmu"), ({"constraint": ConstraintSettings("retention")}, "cross_entropy"),
    ({"primary": PrimarySettings("rmu", layer=2)}, "layers 0 to 1"), ({"sift": {"where": "nothing"}}, "matches none"),
    ({"sift": {"where": ("layers/none[0]",)}}, "no trained matrix"), ({"sift": {"rank": 0}}, "rank must be at least 1"),
    ({"train": dataclasses.replace(QUICK, batch_size=9)}, "more than the 8 rows of 'forget'")])
def test_what_cannot_be_trained_is_refused(more, words, tmp_path):
    with pytest.raises(InputError, match=words):
        steer_job(small_task(), config(**more), tmp_path)


def test_an_empty_constraint_is_refused(tmp_path):
    task = small_task()
    nothing = {name: array[:0] for name, array in task.tables["retain"].items()}
    with pytest.raises(InputError, match="'retain' has no rows"):
        steer_job(dataclasses.replace(task, tables=task.tables | {"retain": nothing}), config(), tmp_path)
    silent = task.tables["retain"] | {"retain_labels": np.full((8, 8), -1, np.int32)}
    with pytest.raises(InputError, match="row 0 of 'retain' has nothing to predict"):
        steer_job(dataclasses.replace(task, tables=task.tables | {"retain": silent}), config(), tmp_path)


def test_names_choose_matrices():
    leaf = jax.ShapeDtypeStruct((3, 4, 5), jnp.float32)
    assert Named(("a[1]",))("a", leaf).tolist() == [False, True, False]
    assert Named(("a",))("a", leaf).tolist() == [True, True, True]


def test_equal_arguments_are_one_program():
    aim, factor = aim_of(small_task(), PrimarySettings(), ConstraintSettings(), Execution())
    made = [program(losses_of(aim, factor), "muon", "pcgrad", SiftSettings(), shared(dataclasses.replace(QUICK, seed=seed)), 5)
            for seed in (0, 1)]
    assert made[0] is made[1]
