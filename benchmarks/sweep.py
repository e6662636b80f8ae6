"""A sweep of twelve levels in units of one plain evaluation with transformers: float32 against float32, bf16 against bf16.

    python benchmarks/sweep.py           Qwen2.5-0.5B with 2 and with 8 of its 24 layers, the rest extrapolated; five minutes
    python benchmarks/sweep.py --tiny    to see that it runs

Both sides read the same two checkpoints of random weights and the same 16 prompts of 32 shared and about 25 other tokens, and give
the logits of two label words. A sweep is the product's: every level rebuilt, placed on the device and scored. *Plain* is what
most write with torch: all prompts padded to the longest, logits of the whole vocabulary at every position. *Careful* takes the
label words' rows of the head at the last position, in batches sorted by length.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from plan_memory import HALF_B, write_random
from suite.compilations import Compilations
from suite.harness import Way, combine, compare, main
from suite.peers import NO_TORCH, fastest, quiet_transformers, single_threaded_torch
from suite.qwen import TINY
from suite.report import Comparison, Report

from jaxtrunc import spectral
from jaxtrunc.config import SweepSettings
from jaxtrunc.data import Encoded, pack_batches, shared_prefix
from jaxtrunc.evals import EvalSet, Scorer
from jaxtrunc.evals.truth import Truth
from jaxtrunc.models import Execution
from jaxtrunc.recipes.levels import LevelWeights
from jaxtrunc.recipes.pair import open_pair

LAYERS, MEASURED = HALF_B["num_hidden_layers"], (2, 8)
PROMPTS, SHARED, BODY, BATCH = 16, 32, (10, 41), 8
LABELS = (3, 5)
SWEEP, ONE = "ours: 12 levels, rebuilt and evaluated", "ours: one evaluation"
PLAIN, CAREFUL = "transformers, plain: one evaluation", "transformers, careful: one evaluation"
TOKENS, ERROR = "tokens computed per evaluation", "worst error of a label logit"
Evaluate = Callable[[Any, Any, list[list[int]]], np.ndarray]
NAMES = {"float32": "sweep_f32", "bfloat16": "sweep_bf16"}


def measure(tiny: bool) -> Report:
    """Two depths, two dtypes, and what follows for all layers."""
    config, depths, rounds = (TINY, (1, 2), 1) if tiny else (HALF_B, MEASURED, 2)
    layers = config["num_hidden_layers"] if tiny else LAYERS
    found: dict[str, list[Comparison]] = {dtype: [] for dtype in NAMES}
    chosen: dict[tuple[str, str], str] = {}
    report = Report("What does a sweep of twelve levels cost, in units of one plain evaluation with transformers?")
    report.measured["recompilations"] = 0
    for depth in depths:
        with tempfile.TemporaryDirectory() as name:
            model = Model(Path(name), config | {"num_hidden_layers": depth})
            report.measured["recompilations"] += recompilations(model)
            for dtype, comparisons in found.items():
                comparisons.append(compare(f"{dtype}, {depth} layers", model.ways(dtype, chosen), rounds))
    for dtype, (few, more) in found.items():
        weight = (layers - depths[0]) / (depths[1] - depths[0])
        whole = combine(f"{dtype}, {layers} layers (extrapolated)", [(1 - weight, few), (weight, more)])
        report.comparisons += [whole, more]
        report.measured |= {NAMES[dtype]: whole.ratio(SWEEP, PLAIN), f"evaluations_{dtype}": scaled(12, whole.ratio(ONE, PLAIN)),
                            f"careful_{dtype}": whole.ratio(SWEEP, CAREFUL)}
    report.notes = notes(report.measured, depths)
    return report


def notes(measured: dict[str, float | None], depths: tuple[int, int]) -> list[str]:
    """What the tables leave out."""
    told = ", ".join(f"{dtype} {measured[f'careful_{dtype}'] or 0:.2f}" for dtype in NAMES)
    return [
        f"Measured at {depths[0]} and {depths[1]} layers with the whole vocabulary; a line through both gives {LAYERS}, round by "
        "round.",
        "Targets: the prototype's figures were twelve evaluations over one plain evaluation, without the rebuilding; that is the "
        "line of the evaluations. The stricter line adds the rebuilding of every level and, in bfloat16, the cast of its kernels, "
        "which all evaluations of a level share, and what is recorded of their rounding. That costs the same however many prompts "
        "there are, "
        f"{PROMPTS} here: with more of them a sweep comes nearer to the evaluations alone.",
        f"Evaluations and rebuilding in units of a careful evaluation: {told}.",
        "transformers runs in inference mode with the faster of eager and sdpa attention and, in bfloat16, the faster of weights "
        "in bfloat16 and autocast, chosen with the fewer layers and named in the table. Errors are of the label logits against "
        "transformers in float32, over the largest of them."]


def scaled(factor: float, ratio: float | None) -> float | None:
    """A ratio times a factor, if it is there."""
    return None if ratio is None else factor * ratio


class Model:
    """Two random checkpoints, their decomposition, and the prompts."""

    def __init__(self, folder: Path, config: dict[str, Any]):
        self.tuned = write_random(folder / "tuned", config, tuned=True)
        self.pair = open_pair(str(write_random(folder / "base", config)), str(self.tuned))
        refs = spectral.references({path: leaf.shape for path, leaf in self.pair.base.leaves.items()}, self.pair.names)
        linear = [ref for ref in refs if "proj" in ref.name]
        self.decomposition = spectral.decompose(self.pair.base.leaves, self.pair.ft.leaves, linear, workers=1)
        self.weights = LevelWeights(self.pair, self.decomposition, "ft", None)
        self.levels = spectral.plan_levels(self.decomposition, ["top_k"])
        self.prompts = random_prompts(config["vocab_size"])
        self.rows = eval_set(self.prompts)

    def ways(self, dtype: str, chosen: dict[tuple[str, str], str]) -> list[Way]:
        """Ours and theirs in one dtype, and how far each is from transformers in float32.

        Args:
          chosen: (dtype, way) → the arrangement of torch that was fastest; added to where it is not known yet.
        """
        params = self.weights.end("ft").params
        scorer = Scorer(self.pair.cfg, Execution(compute_dtype=dtype))
        torch = single_threaded_torch()
        exact = None if torch is None else plain(torch, self.load(torch.float32, "sdpa"), self.prompts)

        def wrong(logits: np.ndarray) -> dict[str, Any]:
            return {} if exact is None else {ERROR: float(np.abs(logits - exact).max() / np.abs(exact).max())}

        ways = [Way(SWEEP, lambda: self.sweep(scorer, dtype), lambda _: {TOKENS: self.computed}),
                Way(ONE, lambda: scorer.score(params, self.rows).scores,
                    lambda scores: wrong(scores) | {TOKENS: self.computed})]
        if torch is None:
            return [*ways, *(Way(name, None, missing=NO_TORCH) for name in (PLAIN, CAREFUL))]
        padded = {PLAIN: PROMPTS * max(map(len, self.prompts)),
                  CAREFUL: sum(len(group) * max(len(self.prompts[row]) for row in group) for group in by_length(self.prompts))}
        options = self.arrangements(torch, dtype)
        for name, evaluate in ((PLAIN, plain), (CAREFUL, careful)):
            calls = {option: partial(run, evaluate) for option, run in options.items()}
            best = chosen.setdefault((dtype, name), chosen.get((dtype, name)) or fastest(calls)[0])
            ways.append(Way(name, calls[best], lambda logits, name=name, best=best: wrong(logits) | {
                TOKENS: padded[name], "arrangement": best}))
        return ways

    @property
    def computed(self) -> int:
        """Tokens that pass through our layers in one evaluation."""
        return len(self.rows.prefix) + sum(batch.tokens.size for batch in self.rows.batches)

    def sweep(self, scorer: Scorer, dtype: str) -> None:
        """Every level as `jaxtrunc sweep` makes and scores it."""
        for level in self.levels:
            scorer.score(self.weights.at(level, dtype).params, self.rows)

    def arrangements(self, torch: Any, dtype: str) -> dict[str, Callable[[Evaluate], np.ndarray]]:
        """Ways to set torch up for this dtype; each takes `plain` or `careful`."""
        found: dict[str, Callable[[Evaluate], np.ndarray]] = {}
        for attention in ("eager", "sdpa"):
            whole = self.load(getattr(torch, dtype), attention)
            found[f"{attention}, {dtype} weights"] = lambda evaluate, model=whole: evaluate(torch, model, self.prompts)
            if dtype != "float32":
                cast = partial(autocast, torch, dtype, self.load(torch.float32, attention), self.prompts)
                found[f"{attention}, autocast"] = cast
        return found

    def load(self, dtype: Any, attention: str) -> Any:
        """The fine-tuned checkpoint as transformers opens it."""
        transformers = quiet_transformers()
        return transformers.AutoModelForCausalLM.from_pretrained(self.tuned, dtype=dtype, attn_implementation=attention).eval()


def random_prompts(vocabulary: int, count: int = PROMPTS) -> list[list[int]]:
    """Token ids: the same beginning and bodies of many lengths."""
    rng = np.random.default_rng(0)
    shared = rng.integers(0, vocabulary, SHARED).tolist()
    return [shared + rng.integers(0, vocabulary, size).tolist() for size in rng.integers(*BODY, count)]


def eval_set(prompts: list[list[int]]) -> EvalSet:
    """The prompts as the product makes them ready."""
    prefix = shared_prefix(prompts)
    batches = pack_batches([prompt[len(prefix):] for prompt in prompts], SweepSettings.batch_size)
    encoded = [Encoded(str(row), "", prompt) for row, prompt in enumerate(prompts)]
    truth = Truth("test", np.zeros(len(prompts), int), ("no", "yes"))
    return EvalSet(truth, encoded, tuple((label,) for label in LABELS), "verbalizer", prefix, batches)


def recompilations(model: Model) -> int:
    """Programs that XLA compiles from the second level on."""
    scorer, (first, *others) = Scorer(model.pair.cfg, Execution()), model.levels
    scorer.score(model.weights.at(first, "float32").params, model.rows)
    with Compilations() as compiled:
        for level in others:
            scorer.score(model.weights.at(level, "float32").params, model.rows)
    return compiled.count


def by_length(prompts: list[list[int]]) -> list[list[int]]:
    """Rows in batches, shortest first."""
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    return [order[start:start + BATCH] for start in range(0, len(order), BATCH)]


def plain(torch: Any, model: Any, prompts: list[list[int]]) -> np.ndarray:
    """Logits of everything, of which two are read at the last position of each row."""
    tokens, mask, last = padded(torch, prompts)
    with torch.inference_mode():
        logits = model(input_ids=tokens, attention_mask=mask).logits
        return logits[torch.arange(len(prompts)), last][:, list(LABELS)].float().numpy()


def careful(torch: Any, model: Any, prompts: list[list[int]]) -> np.ndarray:
    """Two rows of the head at the last position, batches of prompts of about one length."""
    found = np.empty((len(prompts), len(LABELS)), np.float32)
    with torch.inference_mode():
        head = model.lm_head.weight[list(LABELS)]
        for rows in by_length(prompts):
            tokens, mask, last = padded(torch, [prompts[row] for row in rows])
            hidden = model.model(input_ids=tokens, attention_mask=mask, use_cache=False).last_hidden_state
            found[rows] = torch.nn.functional.linear(hidden[torch.arange(len(rows)), last], head).float().numpy()
    return found


def padded(torch: Any, prompts: list[list[int]]) -> tuple[Any, Any, Any]:
    """Right-padded tokens, their mask, and the last position of each row."""
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    tokens = torch.nn.utils.rnn.pad_sequence([torch.tensor(prompt) for prompt in prompts], batch_first=True)
    return tokens, (torch.arange(tokens.shape[1]) < lengths[:, None]).long(), lengths - 1


def autocast(torch: Any, dtype: str, model: Any, prompts: list[list[int]], evaluate: Evaluate) -> np.ndarray:
    """The same with products in a lower dtype."""
    with torch.autocast("cpu", dtype=getattr(torch, dtype)):
        return evaluate(torch, model, prompts)


if __name__ == "__main__":
    main(measure)
