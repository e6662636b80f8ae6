"""One adapter trained: first factors, rows, early stopping by the likelihood of held-out answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxtrunc.core.trees import Params
from jaxtrunc.data.conversations import Conversation, Tokens, answer_stream, encode
from jaxtrunc.data.hashing import uniforms
from jaxtrunc.data.streams import AnswerStream
from jaxtrunc.recipes.sae.base import Base
from jaxtrunc.recipes.sae.controls import SiteBasis
from jaxtrunc.recipes.sae.settings import AdapterTraining
from jaxtrunc.train.adapt_settings import AdaptSettings
from jaxtrunc.train.batches import step_batch
from jaxtrunc.train.lora import train_lora
from jaxtrunc.train.loss import loss_sum
from jaxtrunc.train.subspace_start import Start, subspace_start

VALIDATION_BATCH = 16
WIDTHS = 3  # of training batches; each is a compiled program


@dataclass(frozen=True)
class Trained:
    """The first factors, the tree of base and trained factors, and the tree that the model takes."""

    first: Start
    params: Params

    @property
    def applied(self) -> Params:
        """Factors of every layer, with their scale."""
        return self.first.adapter.applied(self.params)

    @property
    def factors(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Weight name → A (r, in), B (out, r) as trained."""
        return self.first.adapter.by_name(self.params)


def trained(base: Base, directory: Path, starts: Mapping[str, SiteBasis | None], rows: Sequence[Conversation], origin: str,
            settings: AdaptSettings, training: AdapterTraining, *, resume: bool) -> Trained:
    """Train, or with `resume` finish training or read what was trained; metrics and checkpoints are in `directory`."""
    bases = {site: None if start is None else start.u for site, start in starts.items()}
    first = subspace_start(base.params, base.cfg, bases, settings, training.seed, base.mesh)
    kept, held_out = _sides(rows, training.validation_share)
    encoded = encode(base.chat, kept, origin, training.max_tokens)
    stream = answer_stream(encoded, training.batch_size, training.seed, training.max_widths or WIDTHS)
    validate = _likelihood(base, encode(base.chat, held_out, origin, training.max_tokens)) if held_out else None
    special = tuple(int(token) for token in np.flatnonzero(base.special))
    params = train_lora(base.params, base.cfg, first.adapter, stream, training, directory, execution=base.execution,
                        validate=validate, resume=resume, mesh=base.mesh, start=first.factors,
                        penalty=first.penalty(settings, special))
    return Trained(first, params)


def _sides(rows: Sequence[Conversation], share: float) -> tuple[list[Conversation], list[Conversation]]:
    """Rows to train on and rows held out; a row's prompt alone decides."""
    held_out = [row for row in rows if uniforms(f"validation/{row.prompt}")[0] < share]
    kept = [row for row in rows if uniforms(f"validation/{row.prompt}")[0] >= share]
    return (kept, held_out) if kept else (list(rows), [])


def _likelihood(base: Base, rows: Sequence[Tokens]) -> Callable[[Params], float]:
    """Params → the mean probability of a token of the held-out answers, exp(−mean loss)."""
    stream: AnswerStream = answer_stream(rows, base.rows(min(VALIDATION_BATCH, len(rows))), 0, 1)
    batches = [next(stream) for _ in range(stream.batches_per_epoch)]
    targets = sum(int((batch.targets >= 0).sum()) for batch in batches)
    total: Any = jax.jit(partial(loss_sum, cfg=base.cfg, execution=base.execution))

    def validate(params: Params) -> float:
        losses = [total(params, batch=step_batch(batch, base.mesh)) for batch in batches]
        return float(np.exp(-sum(map(float, losses)) / max(targets, 1)))

    return validate
