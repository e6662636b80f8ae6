"""What the tests of this room train and score, and what they read of a finished run."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
from tiny import CONFIG, CopyStream

from jaxtrunc.core.trees import Params, flatten, unflatten
from jaxtrunc.models import Execution, abstract_params
from jaxtrunc.train import TrainSettings
from jaxtrunc.train.finetune import finetune

SETTINGS = TrainSettings(learning_rate=3e-3, epochs=1, max_steps=6, batch_size=16, log_every=1, checkpoint_every=3)
# Three layers over eight devices; widths, heads and vocabulary that some mesh axes divide and others do not.
UNEVEN = dataclasses.replace(CONFIG, num_layers=3, hidden_size=24, intermediate_size=36, num_heads=3, num_kv_heads=3, vocab_size=30,
                             tie_embeddings=False)
EXECUTION = Execution(scan=True)  # as on accelerators; and one layer compiles sooner than all


def random_params(cfg=CONFIG) -> Params:
    """The same small numbers in every process, on the host."""
    random = np.random.default_rng(1)
    shapes = flatten(abstract_params(cfg))
    return unflatten({path: random.normal(path.endswith("scale"), 0.02, leaf.shape).astype(np.float32)
                      for path, leaf in shapes.items()})


def train(directory: Path, mesh=None, cfg=CONFIG, *, resume=False, delay=0.0, validate=None, **change) -> Params:
    """A few steps of fine-tuning."""
    settings = dataclasses.replace(SETTINGS, **change)
    return finetune(random_params(cfg), cfg, CopyStream(rows=16, delay=delay, prefix=9), settings, directory, execution=EXECUTION,
                    mesh=mesh, resume=resume, validate=validate)


def losses(directory: Path) -> list[float]:
    """The loss of every step."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "loss" in line]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    return [line["loss"] for line in lines]


def whole(params: Params) -> dict[str, np.ndarray]:
    """Leaves on the host, of a run of one process."""
    return {path: np.asarray(leaf) for path, leaf in flatten(params).items()}


def bytes_on_one_device(leaves) -> int:
    """The most that one device holds of these arrays."""
    held: dict = {}
    for leaf in jax.tree.leaves(leaves):
        for shard in leaf.addressable_shards:
            held[shard.device] = held.get(shard.device, 0) + shard.data.nbytes
    return max(held.values())


class DiskLeaf:
    """A leaf as it comes from disk, which notes how many numbers are read of it."""

    def __init__(self, array: np.ndarray, stacked: bool):
        self.array, self.shape, self.dtype, self.stacked, self.asked = array, array.shape, array.dtype, stacked, 0

    def __getitem__(self, layer: int) -> np.ndarray:
        return self.part(layer, ())

    def part(self, layer: int, index: tuple[slice, ...]) -> np.ndarray:
        """What `LazyLeaf.part` gives."""
        part = (self.array[layer] if self.stacked else self.array)[index]
        self.asked += part.size
        return part

    def release(self, layer: int) -> None:
        """Nothing to let go."""
