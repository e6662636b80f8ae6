"""The updates ΔW of the known answers, made from seeds by training on text that teaches one thing at a time.

What was adjusted until the preconditions held, and why: T has rank 4 since a rank of 2 loses the weaker words, and is scaled by
1.2, which makes room for a shortcut of half its smallest singular value; S' is taught at smaller scales too, or interpolation
would switch it off before it costs accuracy. In (b) the marker goes with the label in 75 % of the rows alone, so that a task
update of half the size is heard beside it. The rank of the smaller update decides how strong it is, so it is chosen by the gap.
In (c) the task is taught at smaller scales too and the shortcut is not: then what any cut removes first is the shortcut.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import known_rows as rows
import numpy as np
from known_model import BASE, Base, Judge
from known_program import jaxtrunc
from known_training import Lesson, taught_beside
from known_updates import Sizes, Update, flattened, scaled, singular_values, sized, summed, truncated

from jaxtrunc.data import TrainStream
from jaxtrunc.recipes.bench import TRAIN, open_bench

TAIL = 16
"""Rank of the smaller update before its rank is chosen."""
FLAT, EVEN = 16, 0.5
"""Rank of the task in the update without order, and its singular values before they are scaled."""


@dataclass(frozen=True)
class Parts:
    """ΔW = head + tail: `head`, of rank `rank`, holds the leading singular components, `tail` those at half their size."""

    head: Update
    rank: int
    tail: Update
    tail_rank: int

    @property
    def whole(self) -> Update:
        """ΔW."""
        return summed(self.head, self.tail)

    def with_tail(self, rank: int) -> "Parts":
        """The tail cut to this rank."""
        return replace(self, tail=truncated(self.tail, rank), tail_rank=rank)


class Workshop:
    """Trains building blocks, each in a directory of its own."""

    def __init__(self, folder: Path):
        self.base, self._folder = Base(), folder

    def finetuned(self, name: str, made: rows.Rows, steps: int) -> Update:
        """ΔW of `jaxtrunc finetune` on these rows."""
        task = rows.write_task(self._folder / name, name, made, (TRAIN,))
        run = self._folder / name / "run"
        jaxtrunc("finetune", "--base-model", BASE, "--task", task, "--out-path", run, "train.learning_rate=3e-3",
                 f"train.max_steps={steps}")
        return self.base.update_of(run / "model")

    def taught(self, name: str, first: Update, rank: int, limits: Sizes, made: rows.Rows, lesson: Lesson) -> Update:
        """What these rows teach beside `first` (of rank `rank`), within `limits`."""
        task = rows.write_task(self._folder / name, name, made, (TRAIN,))
        bench = open_bench(task, task.parent, BASE, (TRAIN,))
        examples = [example.for_training() for example in bench.data.examples[TRAIN]]
        stream = TrainStream(examples, bench.prompter, 32, seed=0, max_shapes=1)
        return taught_beside(first, rank, limits, self.base.params, self.base.cfg, stream, lesson)

    def half_as_large(self, name: str, head: Update, rank: int, made: rows.Rows, lesson: Lesson) -> Parts:
        """A tail taught beside `head` (of rank `rank`): σ₁(tail) = ½ σ_rank(head) in every matrix."""
        limits = {path: s[:, rank - 1] / 2 for path, s in singular_values(head).items()}
        tail = self.taught(name, head, rank, limits, made, lesson)
        return Parts(head, rank, sized(truncated(tail, TAIL), limits), TAIL)


def shortcut_in_the_tail(workshop: Workshop, task_update: Update, judge: Judge) -> Parts:
    """(a): T of rank 4 in the head; S' of the least rank that opens a gap of 18 pp."""
    lesson = Lesson(steps=280, least_share=0.4)
    head = scaled(truncated(task_update, 4), 1.2)
    parts = workshop.half_as_large("beside_task", head, 4, rows.shortcut_rows(9600, 2, 0.9), lesson)
    return next(fit for rank in range(4, TAIL + 1) if judge((fit := parts.with_tail(rank)).whole).gap >= 0.18)


def shortcut_in_the_head(workshop: Workshop, judge: Judge) -> Parts:
    """(b): S of rank 1 in the head; T' of the largest rank that leaves a gap of 30 pp."""
    head = truncated(workshop.finetuned("shortcut_weak", rows.shortcut_rows(3200, 4, 0.75), 100), 1)
    parts = workshop.half_as_large("beside_shortcut", head, 1, rows.task_rows(6400, 5), Lesson(steps=220))
    return next(fit for rank in range(TAIL, 0, -1) if judge((fit := parts.with_tail(rank)).whole).gap >= 0.3)


def no_order(workshop: Workshop, judge: Judge) -> tuple[Update, int]:
    """(c): a task update and a shortcut update beside it, all their singular values the same; returns it with its rank.

    The shortcut's rank is the least, and the size of both the least in steps of a tenth, that opens a gap of 18 pp.
    """
    nothing = {path: np.zeros(shape, np.float32) for path, shape in workshop.base.shapes.items()}
    sizes = {path: np.full(len(stack), EVEN) for path, stack in nothing.items()}
    task = workshop.taught("even_task", nothing, 0, sizes, rows.task_rows(9600, 1), Lesson(steps=300, least_share=0.4))
    task = sized(flattened(task, FLAT), sizes)
    shortcut = workshop.taught("even_shortcut", task, FLAT, sizes, rows.shortcut_rows(9600, 2, 0.9), Lesson(steps=150))
    fits = ((scaled(summed(task, sized(flattened(shortcut, rank), sizes)), tenths / 10), FLAT + rank)
            for rank in range(1, 5) for tenths in range(10, 13))
    return next((fit, rank) for fit, rank in fits if judge(fit).gap >= 0.18)
