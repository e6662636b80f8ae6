"""A child process of test_resume.py: train, slowly enough to be killed, and write the final weights' bytes.

Usage: one_run.py DIRECTORY RESUME(0|1) DELAY_SECONDS; exit codes as those of the program.
"""

import hashlib
import sys
from pathlib import Path

import jax
import numpy as np
from tiny import CONFIG, CopyStream

from jaxtrunc.core.errors import JaxtruncError
from jaxtrunc.core.trees import flatten
from jaxtrunc.models import Execution, init_params
from jaxtrunc.train import TrainSettings
from jaxtrunc.train.finetune import finetune

SETTINGS = TrainSettings(learning_rate=1e-2, epochs=3, batch_size=8, accumulation=2, checkpoint_every=4, eval_every=5,
                         log_every=1)


def validate(params) -> float:
    """Some number that depends on every bit of the weights."""
    digest = hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in flatten(params).values())).digest()
    return digest[0] / 255


def main(directory: Path, resume: bool, delay: float) -> None:
    params = init_params(CONFIG, jax.random.key(1))
    tuned = finetune(params, CONFIG, CopyStream(delay=delay), SETTINGS, directory, execution=Execution(),
                     validate=validate, resume=resume)
    (directory / "final.bin").write_bytes(b"".join(np.asarray(leaf).tobytes() for leaf in flatten(tuned).values()))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2] == "1", float(sys.argv[3]))
    except JaxtruncError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
