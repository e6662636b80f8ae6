"""Verbs that do the main job from end to end, and show what came out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from jaxtrunc.core.errors import InputError
from jaxtrunc.verbs.verb import FromConfig, Overrides, Verb


@dataclass(kw_only=True)
class Demo(Verb):
    """The whole main job on an embedded tiny model and benchmark, in a few minutes, without a download.

    Fine-tunes, decomposes the update, sweeps every operator, prints the table and writes report.html.

    Example:  jaxtrunc demo --out-path runs/demo
    """

    out_path: Path = Path("runs/demo")
    """Directory of the run; refused if taken."""
    resume: bool = False
    """Continue an interrupted demo."""

    def run(self) -> None:
        from jaxtrunc.recipes.demo import demo

        demo(self.out_path, resume=self.resume)


@dataclass(kw_only=True)
class Run(FromConfig):
    """Fine-tune (or take a given model), decompose, sweep and report, as one config file says.

    Example:  jaxtrunc run configs/sst2_marker.yaml train.epochs=1 'sweep.seeds=[0,1]'
    """

    def run(self) -> None:
        from jaxtrunc.recipes.run import run

        run(self.config, self.overrides, self.out_path, resume=self.resume)


@dataclass(kw_only=True)
class Study(Verb):
    """Run a grid of base models × benchmarks × training seeds: every cell as `jaxtrunc run` would, one after the other.

    A cell that fails is named at the end and does not stop the others. The file is a grid (docs/studies.md) or a run config.

    Example:  jaxtrunc study configs/paper/*.yaml --out-path runs --resume sweep.limit=2000
    """

    configs: Annotated[Positional[tuple[str, ...]], arg(metavar="CONFIG.yaml …")]
    """Grid files; values may follow them."""
    overrides: Overrides = ()
    """Values that replace those of the files for every cell, such as train.epochs=1."""
    out_path: Path = Path("runs")
    """Cells are written to OUT/NAME/BASE-TASK-sSEED, NAME being that of the grid."""
    resume: bool = False
    """Continue a study: cells that are done are left alone, the others go on from where they stopped."""

    def run(self) -> None:
        from jaxtrunc.recipes.study import study

        words = (*self.configs, *self.overrides)
        files = [Path(word) for word in words if "=" not in word or Path(word).is_file()]
        if not files:
            raise InputError("study: expected at least one grid file, found none")
        study(files, tuple(word for word in words if Path(word) not in files), self.out_path, resume=self.resume)


@dataclass(kw_only=True)
class Collect(Verb):
    """Put many runs into one table and on one page: before and after, controls, seeds, spectra, and the paper's claims.

    Writes collect.html, collect.md, collect.csv, collect.json and plots. Runs that are damaged or unfinished are named on the page.

    Example:  jaxtrunc collect runs/paper-500m runs/mine --out-path runs/overview
    """

    together = False

    paths: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN …")]
    """Run directories, studies, or directories that hold some."""
    out_path: Path = Path("runs/collected")
    """Directory to write; refused if it is there and not empty."""

    def run(self) -> None:
        from jaxtrunc.recipes.collect import collect

        if not self.paths:
            raise InputError("collect: expected at least one run directory, found none")
        collect(self.paths, self.out_path)


@dataclass(kw_only=True)
class Report(Verb):
    """Write report.html and the plots of a run anew from its results.json, and print the table; evaluates nothing.

    Example:  jaxtrunc report runs/mine
    """

    together = False

    path: Annotated[Positional[Path], arg(metavar="RUN")]
    """Run directory that holds results.json."""

    def run(self) -> None:
        from jaxtrunc.recipes.report import report

        report(self.path)
