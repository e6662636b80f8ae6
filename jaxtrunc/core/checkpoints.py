"""Training checkpoints. The only file that imports the v1 path of orbax (0.12 has it under `experimental`)."""

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint.experimental.v1 as ocp

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.fingerprint import fingerprint

FINGERPRINT = "fingerprint"


class CheckpointStore:
    """Numbered checkpoints in one directory: arrays (a pytree) and facts (plain JSON) written together or not at all.

    Saving blocks until the checkpoint is on disk under its final name: the arrays are given to the next training step,
    which overwrites them, and a background copy would race with that.
    """

    def __init__(self, directory: Path):
        self.directory = directory.resolve()
        self._checkpointer = ocp.training.Checkpointer(str(self.directory), cleanup_tmp_directories=True)

    def __enter__(self) -> "CheckpointStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._checkpointer.close()

    @property
    def steps(self) -> list[int]:
        """Steps with a whole checkpoint, ascending."""
        return sorted(checkpoint.step for checkpoint in self._checkpointer.checkpoints)

    def save(self, step: int, arrays: Any, facts: dict[str, Any], keep: tuple[int | None, ...] = ()) -> None:
        """Write checkpoint `step`, then delete those that are neither it, nor the one before it, nor in `keep`."""
        if step not in self.steps:
            self._checkpointer.save(step, arrays, force=True, custom_metadata=facts | {FINGERPRINT: fingerprint(arrays)})
        for old in self.steps[:-2]:
            if old not in keep:
                self._checkpointer.delete(old)

    def facts(self, step: int) -> dict[str, Any]:
        """The plain facts saved with checkpoint `step`."""
        return dict(self._checkpointer.metadata(step).custom_metadata or {})  # type: ignore[arg-type]

    def load(self, step: int, like: Any) -> Any:
        """Arrays of checkpoint `step`, with the structure, dtypes and layout of `like`.

        Raises:
          InputError: the checkpoint holds other tensors than this run trains, or was changed since it was written.
        """
        wanted = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), like)
        place = self.directory / str(step)
        try:
            arrays = self._checkpointer.load(step, wanted)
        except (ValueError, KeyError) as error:
            reason = str(error).split("\n", 1)[0]
            raise InputError(f"{place}: damaged, or not a checkpoint of this run ({reason})") from error
        if fingerprint(arrays) != self.facts(step)[FINGERPRINT]:
            raise InputError(f"{place}: changed since it was written (its arrays have another checksum); delete this folder, and "
                             "--resume continues from the checkpoint before it")
        return arrays

