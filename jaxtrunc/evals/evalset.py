"""A split made ready for scoring: prompts as token batches, label tokens, and the truth that metrics alone read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxtrunc.data import Encoded, Example, PackedBatch, Prompter, TaskData, pack_batches, shared_prefix
from jaxtrunc.evals.pooling import Pooling, pooling_of
from jaxtrunc.evals.truth import MISSING, Truth


@dataclass(frozen=True)
class EvalSet:
    """One split for one tokenizer.

    Attributes:
      truth: labels and attributes, in the order of `encoded`.
      encoded: ids, prompts and their tokens.
      continuations: token ids of each label word; single tokens under `verbalizer`.
      scoring: verbalizer, likelihood or likelihood_per_token.
      prefix: the tokens that every prompt begins with; evaluated once per model.
      batches: what comes after the prefix, packed; `rows` count prompts, or prompt · C + class where the label words are
        scored too.
      pooling: how the scores of trained classes become those of the classes in `truth`; None: they are the same.
    """

    truth: Truth
    encoded: Sequence[Encoded]
    continuations: tuple[tuple[int, ...], ...]
    scoring: str
    prefix: Sequence[int]
    batches: Sequence[PackedBatch]
    pooling: Pooling | None = None

    @property
    def split(self) -> str:
        """Name of the split."""
        return self.truth.split

    def __len__(self) -> int:
        return len(self.encoded)


def build_eval_set(data: TaskData, split: str, prompter: Prompter, batch_size: int, devices: int = 1) -> EvalSet:
    """Encode and batch one split of a task.

    Args:
      data: with the split among its examples.
      batch_size: prompts per batch (label strings per batch under likelihood scoring).
      devices: that the rows of a batch are divided over.
    """
    examples = data.examples[split]
    encoded = prompter.encode(examples)
    scoring, continuations = data.task.scoring, tuple(prompter.continuations)
    prefix = shared_prefix([row.input_ids for row in encoded])
    sequences = [row.input_ids[len(prefix):] for row in encoded]
    if scoring != "verbalizer":
        sequences = [[*prompt, *label] for prompt in sequences for label in continuations]
    truth = _truth(data, split, examples)
    batches = pack_batches(sequences, batch_size, devices)
    return EvalSet(truth, encoded, continuations, scoring, prefix, batches, pooling_of(data.task))


def _truth(data: TaskData, split: str, examples: Sequence[Example]) -> Truth:
    task, names = data.task, data.task.attributes
    trained = task.class_names(split) == task.classes
    return Truth(
        split=split,
        labels=np.array([task.evaluated_label(e.label) if trained else e.label for e in examples], int),
        class_names=task.evaluated,
        attributes={name: _values(examples, name) for name in names},
        unions=task.unions,
        directions={name: _array(data.aligned[name]) for name in names},
        training_counts={name: _array(data.training_counts[name]) for name in names},
        training_classes=_training_classes(data) if task.accuracy == "training" else None,
    )


def _training_classes(data: TaskData) -> np.ndarray | None:
    counts = data.training_counts[data.task.attributes[0]]
    return None if counts is None else np.sum(counts, axis=1)


def _values(examples: Sequence[Example], attribute: str) -> np.ndarray:
    found = (example.attributes[attribute] for example in examples)
    return np.array([MISSING if value is None else value for value in found], int)


def _array(values: Sequence | None) -> np.ndarray | None:
    return None if values is None else np.array(values, int)
