"""What training reads: batches whose order depends on the seed and the position alone, so a run resumes exactly."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from jaxtyping import Int32

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.batching import bucket_widths, pad, plan_batches, shared_prefix
from jaxtrunc.data.examples import TrainExample
from jaxtrunc.data.prompts import Prompter

NO_LOSS = -1
Batch = TypeVar("Batch")


@dataclass(frozen=True)
class TrainBatch:
    """A batch for training. It has no field for attributes, by construction.

    Attributes:
      tokens: right-padded with 0.
      lengths: real tokens per row; 1 in a filler row.
      targets: the token to be predicted *from* each position (already shifted by one), −1 where there is no loss.
      ids: ids of the rows, fewer than B if the last rows are filler (without targets).
      prefix: what stands before the tokens of every row, without loss; may be empty.
    """

    tokens: Int32[np.ndarray, "B T"]
    lengths: Int32[np.ndarray, " B"]
    targets: Int32[np.ndarray, "B T"]
    ids: tuple[str, ...]
    prefix: Int32[np.ndarray, " P"] = field(default_factory=lambda: np.zeros(0, np.int32))


class Stream(Generic[Batch]):
    """An endless sequence of batches, epoch after epoch.

    Attributes:
      batches_per_epoch: the same for every epoch.
      position: batches given so far; set it (or call `restore`) to continue from there.
    """

    batches_per_epoch: int

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.position = 0
        self._epoch: tuple[int, list] = (-1, [])

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        epoch, index = divmod(self.position, self.batches_per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._plan(np.random.default_rng([self.seed, epoch])))
        self.position += 1
        return self._batch(self._epoch[1][index])

    @property
    def state(self) -> int:
        """Everything that `restore` needs: the number of batches given so far."""
        return self.position

    def restore(self, state: int) -> None:
        """Continue as if `state` batches had been given."""
        self.position = state

    def _plan(self, rng: np.random.Generator) -> list:
        """What each batch of one epoch is made of; `batches_per_epoch` entries."""
        raise NotImplementedError

    def _batch(self, entry) -> Batch:
        raise NotImplementedError


class AnswerStream(Stream[TrainBatch]):
    """Prompts with an answer each, what all prompts begin with apart; loss on the answers only.

    Args:
      ids: of the rows.
      prompts: their tokens; none may be empty.
      answers: the tokens to be learned, the end of turn among them; it is predicted, never read.
      batch_size: rows per batch; the last batch of an epoch is filled up with rows without loss.
      seed: decides, with the epoch's number, the order.
      max_shapes: largest number of batch widths (each costs a compilation).
    """

    def __init__(self, ids: Sequence[str], prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], batch_size: int,
                 seed: int, max_shapes: int = 6, multiple_of: int = 8) -> None:
        super().__init__(seed)
        self.batch_size = batch_size
        self._ids, self._answers = ids, answers
        self._prefix = np.array(shared_prefix(prompts), np.int32)
        self._prompts = [prompt[len(self._prefix):] for prompt in prompts]
        self._lengths = [len(p) + len(a) - 1 for p, a in zip(self._prompts, self._answers, strict=True)]
        self.widths = bucket_widths(self._lengths, max_shapes, multiple_of)
        self.batches_per_epoch = -(-len(ids) // batch_size)

    def _plan(self, rng: np.random.Generator) -> list[tuple[int, list[int]]]:
        plan = plan_batches(self._lengths, rng.permutation(len(self._ids)), self.widths, self.batch_size)
        return [plan[i] for i in rng.permutation(len(plan))]

    def _batch(self, entry: tuple[int, list[int]]) -> TrainBatch:
        width, rows = entry
        tokens = [[*self._prompts[row], *self._answers[row][:-1]] for row in rows]
        targets = [[*[NO_LOSS] * (len(self._prompts[row]) - 1), *self._answers[row]] for row in rows]
        lengths = np.ones(self.batch_size, np.int32)
        lengths[:len(rows)] = [self._lengths[row] for row in rows]
        return TrainBatch(
            tokens=pad(tokens, self.batch_size, width, 0),
            lengths=lengths,
            targets=pad(targets, self.batch_size, width, NO_LOSS),
            ids=tuple(self._ids[row] for row in rows),
            prefix=self._prefix,
        )


class TrainStream(AnswerStream):
    """Prompt and answer of each example of a task; loss on the label tokens and the end of turn only.

    Args:
      examples: `[example.for_training() for example in …]`; attributes do not come this far.
      prompter: makes the prompts and says which tokens answer them.
    """

    def __init__(self, examples: Sequence[TrainExample], prompter: Prompter, batch_size: int, seed: int,
                 max_shapes: int = 6, multiple_of: int = 8) -> None:
        if not examples:
            raise InputError(f"{prompter.task.origin}: there are no training rows")
        prompts = [encoded.input_ids for encoded in prompter.encode(examples)]
        answers = [(*prompter.continuations[example.label], prompter.end_of_turn) for example in examples]
        super().__init__([example.id for example in examples], prompts, answers, batch_size, seed, max_shapes, multiple_of)
