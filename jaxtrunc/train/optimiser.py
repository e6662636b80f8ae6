"""AdamW with its schedule, clipping and weight-decay mask (Loshchilov & Hutter 2019, arXiv 1711.05101)."""

import dataclasses
from collections.abc import Mapping

import optax

from jaxtrunc.train.settings import TrainSettings


def learning_rate(settings: TrainSettings, total_steps: int) -> optax.Schedule:
    """Learning rate of step 0 … total_steps − 1: linear warm-up to the peak, then decay towards zero or constant.

    No step has rate 0: the ends of both ramps lie one step outside the run.
    """
    warmup = round(settings.warmup_share * total_steps)
    peak, rest = settings.learning_rate, total_steps + 1 - warmup
    after = {"cosine": optax.cosine_decay_schedule(peak, rest),
             "linear": optax.linear_schedule(peak, 0.0, rest),
             "constant": optax.constant_schedule(peak)}[settings.schedule]
    if warmup == 0:
        return lambda step: after(step + 1)
    schedule = optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), after], [warmup])
    return lambda step: schedule(step + 1)


def adamw(settings: TrainSettings, total_steps: int, decays: Mapping[str, bool]) -> optax.GradientTransformation:
    """Clip by global norm, then AdamW.

    The peak of the learning rate is a number in the state and no constant of the compiled step, so runs that differ in it alone
    share their programs.

    Args:
      settings: rates and decays.
      total_steps: length of the schedule.
      decays: path → whether weight decay applies to this leaf.
    """
    relative = learning_rate(dataclasses.replace(settings, learning_rate=1.0), total_steps)
    update = optax.adamw(relative, settings.beta1, settings.beta2, settings.epsilon, weight_decay=settings.weight_decay,
                         mask=dict(decays))
    peak = optax.inject_hyperparams(optax.scale)(step_size=settings.learning_rate)
    clip = () if settings.clip is None else (optax.clip_by_global_norm(settings.clip),)
    return optax.chain(*clip, update, peak)
