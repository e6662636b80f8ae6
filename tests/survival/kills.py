"""Kill a run again and again at random moments, resume it each time, and compare what comes out with an undisturbed run.

    python tests/survival/kills.py --kills 20 --seed 0

Every kill is SIGKILL to the whole process group. The moments lie in fine-tuning, decomposition, sweep, report and export:
a share of each stage's visible progress is drawn, and a fraction of a second on top. Prints one line per kill.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from jaxtrunc.demo import ASSETS

CONFIG = """\
name: killed
base_model: {assets}/model
task: {assets}/task.yaml
train: {{learning_rate: 3.0e-3, max_steps: 40, batch_size: 32, checkpoint_every: 5, log_every: 1, keep: last}}
sweep: {{operators: [top_k, bottom_k, random_k, interpolate], ranks: [1, 4, 16], seeds: [0, 1], alphas: [0.5], limit: 80}}
"""
STEPS, RECORDS = 40, 2 * (2 + 3 + 3 + 6 + 2)  # ends, then top_k, bottom_k, random_k, interpolate; two splits
EXPORTS = {"model": ("--format", "hf"), "adapter": ("--format", "peft")}


@dataclass(frozen=True)
class Moment:
    """Kill `delay` seconds after `count` lines (or, with count 0, anything at all) are seen in `place` of the run."""

    stage: str
    place: str
    count: int
    delay: float

    def has_come(self, run: Path) -> bool:
        path = run / self.place
        if not self.count or not path.exists():
            return path.exists()
        return path.read_bytes().count(b"\n") >= self.count


def moments(kills: int, rng: random.Random) -> list[Moment]:
    """The moments in the order in which a run passes them, spread over all stages."""
    stages = {
        "fine-tuning": lambda: Moment("fine-tuning", "metrics.jsonl", rng.randint(1, STEPS), rng.uniform(0, 0.5)),
        "decomposition": lambda: Moment("decomposition", ".decomposition.staged", 0, rng.uniform(0, 0.4)),
        "sweep": lambda: Moment("sweep", "records.jsonl", rng.randint(1, RECORDS), rng.uniform(0, 0.3)),
        "report": lambda: Moment("report", "results.json", 0, rng.uniform(0, 3)),
        "export": lambda: Moment("export", "../.OUT.staged", 0, rng.uniform(0, 0.1)),
    }
    names = list(stages)
    drawn = [stages[names[i % len(names)]]() for i in range(kills)]
    return sorted(drawn, key=lambda moment: (names.index(moment.stage), moment.count, moment.delay))


def start(*arguments: str) -> subprocess.Popen:
    """The program in a process group of its own."""
    return subprocess.Popen([sys.executable, "-m", "jaxtrunc", *arguments, "-q"], start_new_session=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(*arguments: str) -> None:
    """Run the program to its end; what it says is shown if it fails."""
    with start(*arguments) as process:
        _, said = process.communicate()
        if process.returncode:
            raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}: {said}")


def killed_at(moment: Moment, run: Path, *arguments: str) -> bool:
    """Start the program and kill it at the moment; False if it came to its end before."""
    with start(*arguments) as process:
        while process.poll() is None and not moment.has_come(run):
            time.sleep(0.01)
        if process.poll() is None:
            time.sleep(moment.delay)
        if process.poll() is not None:
            if process.returncode:
                raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}: {process.communicate()[1]}")
            return False
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True


def disturb(config: Path, run: Path, plan: list[Moment]) -> int:
    """Go through all stages with a kill at every moment; returns how many hit a living process."""
    hits = 0
    for moment in [moment for moment in plan if moment.stage != "export"]:
        if moment.stage == "report" and (run / "results.json").exists():
            (run / "results.json").unlink()  # so that its coming back can be seen
        hits += (hit := killed_at(moment, run, "run", str(config), "--out-path", str(run), "--resume"))
        print(f"{moment.stage:14s} {moment.place} {moment.count or ''} + {moment.delay:.2f} s: {'killed' if hit else 'was done'}")
    finish("run", str(config), "--out-path", str(run), "--resume")
    for number, moment in enumerate(moment for moment in plan if moment.stage == "export"):
        out = run.with_name(f"early-{number}")
        here = Moment("export", moment.place.replace("OUT", out.name), 0, moment.delay)
        hits += (hit := killed_at(here, run, "export", str(run), "--rank", "4", *list(EXPORTS.values())[number % 2],
                                  "--out-path", str(out)))
        print(f"export         {here.place} + {moment.delay:.2f} s: {'killed' if hit else 'was done'}")
        if hit:
            assert not out.exists() or (out / "README.md").exists(), f"{out} looks finished and is not"
            if not out.exists():
                finish("export", str(run), "--rank", "4", *list(EXPORTS.values())[number % 2], "--out-path", str(out))
    return hits


def export_levels(run: Path) -> None:
    """The weights of some levels, and an adapter, beside the run."""
    for rank in (1, 4, 16):
        finish("export", str(run), "--rank", str(rank), "--format", "hf", "--out-path", f"{run}-top_k-{rank}")
        finish("export", str(run), "--rank", str(rank), "--operator", "random_k", "--seed", "1", "--format", "hf",
               "--out-path", f"{run}-random_k-{rank}")
    finish("export", str(run), "--rank", "4", "--format", "peft", "--out-path", f"{run}-adapter")


def differences(ours, theirs, place: str = "results") -> list[str]:
    """Where two results differ: numbers by more than 1e-6, everything else at all."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        return [found for key in ours for found in differences(ours[key], theirs[key], f"{place}.{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [found for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) for found in differences(a, b, f"{place}[{i}]")]
    if isinstance(ours, int | float) and isinstance(theirs, int | float) and abs(ours - theirs) <= 1e-6:
        return []
    return [] if ours == theirs else [f"{place}: {ours!r} and {theirs!r}"]


def compare(whole: Path, killed: Path) -> list[str]:
    """Differences between two runs and between the weights of their levels."""
    results = [json.loads((run / "results.json").read_text()) for run in (whole, killed)]
    for result, run in zip(results, (whole, killed), strict=True):
        result["environment"].pop("git_commit")  # of the checkout, which may move on in the meantime
        result["config"]["model"] = result["config"]["model"].replace(str(run), "RUN")
    found = differences(*results)
    for theirs in sorted(whole.parent.glob(f"{whole.name}-*/*.safetensors")):
        mine = killed.with_name(theirs.parent.name.replace(whole.name, killed.name)) / theirs.name
        if mine.read_bytes() != theirs.read_bytes():
            found.append(f"{mine}: other bytes than {theirs}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config, whole, killed = Path(folder) / "config.yaml", Path(folder) / "whole", Path(folder) / "killed"
        config.write_text(CONFIG.format(assets=ASSETS))
        finish("run", str(config), "--out-path", str(whole))
        hits = disturb(config, killed, moments(options.kills, random.Random(options.seed)))
        for run in (whole, killed):
            export_levels(run)
        found = compare(whole, killed)
    print(f"{hits} of {options.kills} kills hit a running program; {len(found)} differences to the undisturbed run")
    print("\n".join(found[:20]))
    sys.exit(bool(found) or hits < options.kills * 3 // 4)


if __name__ == "__main__":
    main()
