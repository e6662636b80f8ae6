"""A child process of test_steer_resume.py: the program on the small task, with batches slow enough to be killed between.

Usage: one_steering.py CONFIG RUN DELAY_SECONDS [--resume]
"""

import sys
import time

from small_task import small_task, source_directory

from jaxtrunc.cli import main
from jaxtrunc.recipes.steer import rows, tasks


class SlowStream(rows.RowStream):
    """The same batches, later."""

    delay = 0.0

    def _batch(self, entry):
        time.sleep(self.delay)
        return super()._batch(entry)


if __name__ == "__main__":
    from jaxtrunc.recipes.steer import train

    config, run, delay, *rest = sys.argv[1:]
    SlowStream.delay = float(delay)
    train.RowStream = SlowStream
    tasks.TASKS = {**tasks.TASKS, "small": lambda settings, here, place, mesh: small_task("unlearn", source_directory(place))}
    main(["steer", config, "--out-path", run, *rest])
