"""Tokens per second of a training step: the product's against a loop in torch and transformers, same model, batches and optimiser.

    python benchmarks/finetune.py           the demo's model and one of 8 layers of width 384; three minutes
    python benchmarks/finetune.py --tiny    to see that it runs

All train the linear matrices in float32 with AdamW, the same schedule and clipping, on the demo's benchmark. *Plain* is the loss of
transformers on prompts with their answers, padded to the longest of the batch. *Careful* applies the head at the positions with a
loss alone. A token counts once however often it is computed, padding does not.
"""

import itertools
import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from plan_memory import write_random
from suite.harness import Way, compare, main
from suite.peers import NO_TORCH, fastest, quiet_transformers, single_threaded_torch
from suite.report import Comparison, Report

from jaxtrunc.data import TrainBatch
from jaxtrunc.demo import ASSETS
from jaxtrunc.models import Execution, leaf_class
from jaxtrunc.recipes.bench import TRAIN, open_bench
from jaxtrunc.recipes.pair import open_side
from jaxtrunc.recipes.weights import load
from jaxtrunc.train import TrainSettings
from jaxtrunc.train.batches import step_batch
from jaxtrunc.train.layout import masters, optimiser_state
from jaxtrunc.train.loss import loss_sum
from jaxtrunc.train.optimiser import adamw, learning_rate
from jaxtrunc.train.scope import split
from jaxtrunc.train.step import Program, TrainState, per_target

SETTINGS = TrainSettings(learning_rate=1e-3)
STEPS = 1000  # of the schedule
OURS, PLAIN, CAREFUL = "ours", "transformers, plain", "transformers, careful"
NOTHING = -100  # a label of transformers without loss
Losses = list[float]
Loss = Callable[[Any, Any, TrainBatch], Any]


def measure(tiny: bool) -> Report:
    """The demo's model, and one in which products weigh more."""
    rounds, (few, some) = (1, (1, 1)) if tiny else (3, (10, 2))
    report = Report("How many tokens a second does fine-tuning train on?")
    report.comparisons.append(trained(ASSETS / "model", "the demo's model, 4 layers of width 96", few, rounds))
    if not tiny:
        with tempfile.TemporaryDirectory() as name:
            report.comparisons.append(trained(wider(Path(name)), "8 layers of width 384", some, rounds))
    for name, comparison in zip(("small", "wider"), report.comparisons, strict=False):
        report.measured |= {f"plain_{name}": comparison.ratio(PLAIN), f"careful_{name}": comparison.ratio(CAREFUL)}
    report.notes = [f"Batches of {SETTINGS.batch_size} rows. transformers runs with the fastest of eager and sdpa attention and of "
                    "torch's three forms of AdamW, chosen at the start; torch.compile is not tried.",
                    "The error is the largest difference of a step's loss from that of the plain loop, over the steps of the first "
                    "call, which all begin with the same weights."]
    return report


def wider(folder: Path) -> Path:
    """A random model with the demo's tokenizer."""
    sizes = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 8, "num_attention_heads": 8,
             "num_key_value_heads": 8}
    config = json.loads((ASSETS / "model/config.json").read_text(encoding="utf-8")) | sizes
    del config["layer_types"]
    return write_random(folder / "wider", config, like=ASSETS / "model")


def trained(model: Path, title: str, steps: int, rounds: int) -> Comparison:
    """Some steps of each way, again and again on the same batches."""
    stream = open_bench(ASSETS / "task.yaml", ASSETS, model, (TRAIN,)).stream(SETTINGS)
    batches = [next(stream) for _ in range(steps)]
    torch, reference = single_threaded_torch(), None
    ways = [(OURS, Ours(model, batches), "")]
    if torch is not None:
        for name, loss in ((PLAIN, plain), (CAREFUL, careful)):
            make = partial(Theirs, torch, model, loss)
            options = itertools.product(("eager", "sdpa"), ("for-loop", "foreach", "fused"))
            (attention, form), _ = fastest({option: make(*option, batches[:2]) for option in options})
            ways.append((name, make(attention, form, batches), f"{attention}, {form} AdamW"))
        reference = Theirs(torch, model, plain, "sdpa", "for-loop", batches)()
    missing = [] if torch else [Way(name, None, missing=NO_TORCH) for name in (PLAIN, CAREFUL)]
    comparison = compare(f"{steps} steps of {title}",
                         [*(Way(name, call, partial(facts, reference, chosen)) for name, call, chosen in ways), *missing], rounds)
    comparison.work, comparison.unit = sum(tokens_of(batch) for batch in batches), "tokens"
    return comparison


def facts(reference: Losses | None, chosen: str, losses: Losses) -> dict[str, Any]:
    """Error of the losses, and how torch was set up."""
    wrong = {} if reference is None else {"worst error of a loss": max(abs(a - b) for a, b in zip(losses, reference, strict=True))}
    return wrong | {"arrangement": chosen}


def tokens_of(batch: TrainBatch) -> int:
    """Real tokens, of real rows."""
    rows = len(batch.ids)
    return int(batch.lengths[:rows].sum()) + rows * len(batch.prefix)


class Ours:
    """The product's step, which goes on from where it is."""

    def __init__(self, model: Path, batches: Sequence[TrainBatch]):
        side = open_side(str(model))
        cfg = side.source.cfg
        trained, self.frozen = split(load(side.leaves, None), partial(leaf_class, cfg), SETTINGS.scope)
        optimiser = adamw(SETTINGS, STEPS, dict.fromkeys(trained, True))
        trained = masters(trained, None)
        self.state, self.batches = TrainState(trained, optimiser_state(optimiser, trained, None)), batches
        loss = per_target(lambda params, batch: loss_sum(params, cfg, batch, Execution()), 1)
        self.step = Program(loss, optimiser).compiled(self.state, None)

    def __call__(self) -> Losses:
        losses = []
        for batch in self.batches:
            self.state, measured = self.step(self.state, self.frozen, step_batch(batch))
            losses.append(measured.loss)
        return [float(loss) for loss in jax.block_until_ready(losses)]


class Theirs:
    """A loop in torch, which goes on from where it is."""

    def __init__(self, torch: Any, model: Path, loss: Loss, attention: str, form: str, batches: Sequence[TrainBatch]):
        self.model = quiet_transformers().AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32,
                                                                               attn_implementation=attention)
        self.torch, self.loss, self.batches = torch, loss, batches
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_("proj.weight" in name)
        self.trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(self.trained, SETTINGS.learning_rate, (SETTINGS.beta1, SETTINGS.beta2), SETTINGS.epsilon,
                                           SETTINGS.weight_decay, foreach=form == "foreach", fused=form == "fused")
        rate = learning_rate(SETTINGS, STEPS)
        relative = [float(rate(step)) / SETTINGS.learning_rate for step in range(STEPS)]
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, lambda step: relative[min(step, STEPS - 1)])

    def __call__(self) -> Losses:
        losses = []
        for batch in self.batches:
            loss = self.loss(self.torch, self.model, batch)
            loss.backward()
            self.torch.nn.utils.clip_grad_norm_(self.trained, SETTINGS.clip)
            self.optimiser.step()
            self.schedule.step()
            self.optimiser.zero_grad(set_to_none=True)
            losses.append(loss.detach())
        return [float(loss) for loss in losses]


def plain(torch: Any, model: Any, batch: TrainBatch) -> Any:
    """What transformers computes when it is given labels: a prompt, its answer and the end of turn, each predicted."""
    tokens, lengths, targets = whole_rows(batch)
    answered = np.pad(tokens, ((0, 0), (0, 1)))
    labels = np.pad(np.where(targets < 0, NOTHING, targets), ((0, 0), (1, 0)), constant_values=NOTHING)
    answered = np.where(labels == NOTHING, answered, labels)
    mask = np.arange(answered.shape[1]) <= lengths[:, None]
    arrays = (torch.from_numpy(array.astype(np.int64)) for array in (answered, mask, labels))
    return model(**dict(zip(("input_ids", "attention_mask", "labels"), arrays, strict=True)), use_cache=False).loss


def careful(torch: Any, model: Any, batch: TrainBatch) -> Any:
    """The head at the positions with a loss alone."""
    tokens, lengths, targets = whole_rows(batch)
    mask = np.arange(tokens.shape[1]) < lengths[:, None]
    rows, places = np.nonzero(targets >= 0)
    ids, seen, wanted = (torch.from_numpy(array.astype(np.int64)) for array in (tokens, mask, targets[rows, places]))
    hidden = model.model(input_ids=ids, attention_mask=seen, use_cache=False).last_hidden_state
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[rows, places]), wanted)


def whole_rows(batch: TrainBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens with the shared beginning, lengths and targets of the real rows, padded to the longest of them."""
    rows, ahead = len(batch.ids), len(batch.prefix)
    lengths = batch.lengths[:rows] + ahead
    width = int(lengths.max()) - ahead
    tokens = np.concatenate([np.broadcast_to(batch.prefix, (rows, ahead)), batch.tokens[:rows, :width]], axis=1)
    return tokens, lengths, np.pad(batch.targets[:rows, :width], ((0, 0), (ahead, 0)), constant_values=-1)


if __name__ == "__main__":
    main(measure)
