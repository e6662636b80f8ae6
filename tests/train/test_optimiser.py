"""AdamW, clipping and schedule against torch, on the same gradients."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrunc.train.optimiser import adamw, learning_rate
from jaxtrunc.train.settings import TrainSettings

STEPS = 40


def torch_factor(step: int, warmup: int, schedule: str) -> float:
    """The multiplier a torch LambdaLR gets; written from the definition, not from the code under test."""
    if step + 1 < warmup:
        return (step + 1) / warmup
    done = (step + 1 - warmup) / (STEPS + 1 - warmup)
    return {"cosine": 0.5 * (1 + np.cos(np.pi * done)), "linear": 1 - done, "constant": 1.0}[schedule]


@pytest.mark.parametrize(("schedule", "share"), [("cosine", 0.1), ("linear", 0.25), ("constant", 0.0), ("cosine", 0.0)])
def test_steps_equal_torch(schedule, share):
    torch = pytest.importorskip("torch", reason="torch is the second opinion here; install the extra `parity`")
    settings = TrainSettings(learning_rate=3e-2, schedule=schedule, warmup_share=share, weight_decay=0.1, clip=1.0)
    random = np.random.default_rng(0)
    start = {"matrix": random.normal(size=(3, 4)).astype(np.float32), "scale": np.ones(4, np.float32)}
    gradients = [{name: (10 ** random.uniform(-2, 1) * random.normal(size=leaf.shape)).astype(np.float32)
                  for name, leaf in start.items()} for _ in range(STEPS)]

    theirs = {name: torch.nn.Parameter(torch.tensor(leaf)) for name, leaf in start.items()}
    optimiser = torch.optim.AdamW([{"params": [theirs["matrix"]], "weight_decay": 0.1},
                                   {"params": [theirs["scale"]], "weight_decay": 0.0}], lr=3e-2)
    warmup = round(share * STEPS)
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: torch_factor(step, warmup, schedule))
    ours = {name: jnp.asarray(leaf) for name, leaf in start.items()}
    transform = adamw(settings, STEPS, {"matrix": True, "scale": False})
    state = transform.init(ours)
    for gradient in gradients:
        for name, leaf in theirs.items():
            leaf.grad = torch.tensor(gradient[name])
        torch.nn.utils.clip_grad_norm_(list(theirs.values()), 1.0)
        optimiser.step()
        rates.step()
        updates, state = transform.update({name: jnp.asarray(leaf) for name, leaf in gradient.items()}, state, ours)
        ours = optax.apply_updates(ours, updates)
        for name in start:
            np.testing.assert_allclose(np.asarray(ours[name]), theirs[name].detach().numpy(), rtol=2e-5, atol=2e-6)


def test_no_step_has_rate_zero():
    for share in (0.0, 0.03, 0.5):
        for schedule in ("cosine", "linear", "constant"):
            rate = learning_rate(TrainSettings(learning_rate=1e-3, schedule=schedule, warmup_share=share), STEPS)
            rates = [float(rate(step)) for step in range(STEPS)]
            assert min(rates) > 0
            assert max(rates) <= 1e-3 * (1 + 1e-6)
            assert max(rates) > 0.9e-3
