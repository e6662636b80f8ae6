"""A benchmark made ready for one tokenizer: everything of the input that can be wrong is found out here."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtrunc.core.errors import InputError, shown
from jaxtrunc.data import Prompter, Task, TaskData, TrainStream, find_task, load_task
from jaxtrunc.evals import VALIDATION, EvalSet, build_eval_set
from jaxtrunc.models import load_tokenizer, read_config
from jaxtrunc.train import TrainSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRAIN = "train"
STEPS_PER_WIDTH, MOST_WIDTHS = 50, 6


@dataclass(frozen=True)
class Bench:
    """Task, rows and prompts."""

    task: Task
    data: TaskData
    prompter: Prompter

    def eval_set(self, split: str, batch_size: int, devices: int = 1) -> EvalSet:
        """One split, tokenised and batched."""
        return build_eval_set(self.data, split, self.prompter, batch_size, devices)

    def stream(self, settings: TrainSettings) -> TrainStream:
        """Training batches; the attributes stay behind.

        A width costs a compilation, which is as long as some 50 steps of a small model: short runs have fewer widths.
        """
        rows = [example.for_training() for example in self.data.examples[TRAIN]]
        steps = min(settings.epochs * -(-len(rows) // settings.batch_size), settings.max_steps or sys.maxsize)
        widths = settings.max_widths or min(max(steps // STEPS_PER_WIDTH, 1), MOST_WIDTHS)
        return TrainStream(rows, self.prompter, settings.batch_size, settings.seed, widths)


def open_bench(task: Path | str | dict, directory: Path, model: Path, splits: tuple[str, ...], limit: int | None = None) -> Bench:
    """Read task file, rows and tokenizer, and check the label words in their context.

    Args:
      task: a path as typed; or, in a config, a path relative to `directory`; or the name of a benchmark; or the task itself.
      directory: also what paths in an inline task or a built-in benchmark start from.
      model: directory of the tokenizer.
      splits: needed; `validation` is added where the task has it.

    Raises:
      InputError: anything wrong with the task, its rows or its label words.
    """
    parsed = find_task(task, directory)
    validation = (VALIDATION,) if VALIDATION in parsed.splits else ()
    wanted = list(dict.fromkeys((*splits, *validation)))
    tokenizer = load_tokenizer(model)
    rows = read_config(model).vocab_size
    _check_vocabulary(tokenizer, model, rows)
    prompter = Prompter(parsed, tokenizer, rows)
    return Bench(parsed, load_task(parsed, wanted, limit), prompter)


def _check_vocabulary(tokenizer: "PreTrainedTokenizerBase", model: Path, rows: int) -> None:
    """Raise `InputError` for a token of plain text that has no row in the embedding.

    Added tokens, such as padding, are often beyond the last row and harmless: they are refused where a prompt has them.
    """
    added = set(tokenizer.added_tokens_decoder)
    plain = [(token, number) for token, number in tokenizer.get_vocab().items() if number not in added]
    token, largest = max(plain, key=lambda item: item[1], default=("", -1))
    if largest >= rows:
        raise InputError(f"{model}: the tokenizer gives {shown(token)} the id {largest}, but config.json says vocab_size {rows}; "
                         "take tokenizer and model from the same place")


def require_train(task: Task) -> None:
    """Raise `InputError` if there is nothing to train on."""
    if TRAIN not in task.splits:
        raise InputError(f"{task.origin}: fine-tuning needs a 'train' split in 'splits'")
