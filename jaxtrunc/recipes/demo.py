"""`jaxtrunc demo`: the main job on the embedded model and benchmark."""

from pathlib import Path

from jaxtrunc.config import read_config
from jaxtrunc.core.progress import say
from jaxtrunc.demo import ASSETS
from jaxtrunc.recipes.run import run_config


def demo(out_path: Path, *, resume: bool) -> None:
    """Run the embedded config; prints the table and where the report lies."""
    say("jaxtrunc demo: a tiny embedded model learns a benchmark with a planted shortcut, then its update is cut")
    run_config(read_config(ASSETS / "demo.yaml"), ASSETS, out_path, resume=resume)
