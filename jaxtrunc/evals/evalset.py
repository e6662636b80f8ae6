"""A split made ready for scoring: prompts as token batches, label tokens, and the truth that metrics alone read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxtrunc.data import Encoded, Example, Prompter, TaskData, TokenBatch, bucket_batches
from jaxtrunc.evals.truth import Truth


@dataclass(frozen=True)
class EvalSet:
    """One split for one tokenizer.

    Attributes:
      truth: labels and attributes, in the order of `encoded`.
      encoded: ids, prompts and their tokens.
      continuations: token ids of each label word; single tokens under `verbalizer`.
      scoring: verbalizer, likelihood or likelihood_per_token.
      batches: right-padded batches; `rows` count prompts, or prompt · C + class where the label words are scored too.
    """

    truth: Truth
    encoded: Sequence[Encoded]
    continuations: tuple[tuple[int, ...], ...]
    scoring: str
    batches: Sequence[TokenBatch]

    @property
    def split(self) -> str:
        """Name of the split."""
        return self.truth.split

    def __len__(self) -> int:
        return len(self.encoded)


def build_eval_set(data: TaskData, split: str, prompter: Prompter, batch_size: int) -> EvalSet:
    """Encode and batch one split of a task.

    Args:
      data: with the split among its examples.
      batch_size: prompts per batch (label strings per batch under likelihood scoring).
    """
    examples = data.examples[split]
    encoded = prompter.encode(examples)
    scoring, continuations = data.task.scoring, tuple(prompter.continuations)
    sequences = [row.input_ids for row in encoded]
    if scoring != "verbalizer":
        sequences = [[*prompt, *label] for prompt in sequences for label in continuations]
    truth = _truth(data, split, examples)
    return EvalSet(truth, encoded, continuations, scoring, bucket_batches(sequences, batch_size))


def _truth(data: TaskData, split: str, examples: Sequence[Example]) -> Truth:
    names = data.task.attributes
    return Truth(
        split=split,
        labels=np.array([example.label for example in examples], int),
        class_names=data.task.classes,
        attributes={name: np.array([example.attributes[name] for example in examples], int) for name in names},
        directions={name: _array(data.aligned[name]) for name in names},
        training_counts={name: _array(data.training_counts[name]) for name in names},
        training_classes=np.sum(data.training_counts[names[0]], axis=1) if data.task.accuracy == "training" else None,
    )


def _array(values: Sequence | None) -> np.ndarray | None:
    return None if values is None else np.array(values, int)
