"""A base model that is asked: conversations as rows of arrays, and how likely it finds their answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.trees import Params
from jaxtrunc.data.chat import Chat
from jaxtrunc.data.conversations import Conversation, encode
from jaxtrunc.data.sources.files import read_rows
from jaxtrunc.models import DecoderConfig, Execution, load_tokenizer
from jaxtrunc.recipes.pair import Side, located, open_side
from jaxtrunc.recipes.steer.aims import by_parts, model_logits
from jaxtrunc.recipes.steer.rows import answer_table
from jaxtrunc.recipes.steer.task import TaskSettings
from jaxtrunc.recipes.weights import load
from jaxtrunc.steer.losses import token_log_probs

TOKENS = 128  # of one prompt with its answer


class Said(NamedTuple):
    """Of each answer, (rows,): its log-probability (nats), its tokens, how many of them are the most likely ones."""

    log_prob: np.ndarray
    tokens: np.ndarray
    right: np.ndarray

    @property
    def each(self) -> np.ndarray:
        """Mean log-probability per token."""
        return self.log_prob / self.tokens


@dataclass(frozen=True)
class Talk:
    """A model and its way of asking."""

    side: Side
    chat: Chat
    params: Params

    @property
    def cfg(self) -> DecoderConfig:
        """The architecture."""
        return self.side.source.cfg

    def table(self, name: str, prompts: Sequence[str], answers: Sequence[str]) -> dict[str, np.ndarray]:
        """`NAME_tokens`, `NAME_labels`, `NAME_mask`; what is too long is cut as in `encode`."""
        rows = [Conversation(str(row), *pair) for row, pair in enumerate(zip(prompts, answers, strict=True))]
        found = encode(self.chat, rows, name, TOKENS)
        return answer_table(name, [row.prompt for row in found], [row.answer for row in found], TOKENS)

    def said(self, params: Params, table: Mapping[str, np.ndarray]) -> Said:
        """What `params` say of the answers of a table with one side."""
        tokens, labels = (next(array for key, array in table.items() if key.endswith(end)) for end in ("tokens", "labels"))
        found = by_parts(partial(_said, params, cfg=self.cfg), tokens, labels)
        return Said(*found.astype(np.float64).T)


def open_talk(settings: TaskSettings, here: Path, mesh: Mesh | None) -> Talk:
    """The base model of a config in the directory `here`, laid out over `mesh`; `InputError` if it names none."""
    if settings.base_model is None:
        raise InputError(f"task: base_model: '{settings.name}' needs one, a directory or org/name")
    side = open_side(located(settings.base_model, here))
    return Talk(side, Chat(load_tokenizer(side.source.directory), side.source.cfg.vocab_size), load(side.leaves, mesh))


def data_directory(settings: TaskSettings, here: Path) -> Path:
    """The folder with the data sets; `InputError` if it is none."""
    if settings.data is None or not (here / settings.data).is_dir():
        raise InputError(f"task: data: '{settings.name}' needs the directory that holds its data sets, found {settings.data}")
    return here / settings.data


def column_rows(path: Path, *columns: str) -> list[Mapping[str, Any]]:
    """Rows that have text in these columns; `InputError` names file and line of one without."""
    if not path.exists():
        raise InputError(f"{path}: no such file")
    found = []
    for row in read_rows(path):
        if row.values is None or not all(isinstance(row.values.get(column), str) for column in columns):
            raise InputError(f"{row.where}: {row.fault or f'expected text in {chr(32).join(columns)}'}")
        found.append(row.values)
    return found


def enough(rows: Sequence[Any], more_than: int, what: str, where: Path) -> None:
    """Refuse rows that are too few to train on and to measure: `InputError` names file and number."""
    if len(rows) <= more_than:
        raise InputError(f"{where}: expected more than {more_than} {what}, found {len(rows)}")


@partial(jax.jit, static_argnames="cfg")
def _said(params: Params, tokens: Any, labels: Any, *, cfg: DecoderConfig) -> jax.Array:
    logits = model_logits(params, tokens, cfg=cfg, execution=Execution())
    right = (labels >= 0) & (logits.argmax(-1) == labels)
    return jnp.stack([token_log_probs(logits, labels).sum(1), (labels >= 0).sum(1), right.sum(1)], 1)
