"""What can be typed: one dataclass per verb, its help text, and the recipe it calls. Imports neither numpy nor jax."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional, UseAppendAction, arg

from jaxtrunc.config import DecomposeSettings, FinetuneConfig, Operators, SweepSettings, from_mapping, override
from jaxtrunc.core.errors import InputError

Include = Annotated[UseAppendAction[tuple[str, ...]], arg(aliases=["-i"], metavar="REGEX")]
Exclude = Annotated[UseAppendAction[tuple[str, ...]], arg(aliases=["-e"], metavar="REGEX")]
Overrides = Annotated[Positional[tuple[str, ...]], arg(metavar="section.key=value")]
Backend = Literal["gram64", "host", "device", "randomized", "gram32"]


@dataclass(kw_only=True)
class Verb:
    """What every verb understands."""

    together: ClassVar[bool] = True  # several processes work on it together; else each runs it for itself
    quiet: Annotated[bool, arg(aliases=["-q"])] = False
    """No progress on standard error."""
    verbose: Annotated[bool, arg(aliases=["-v"])] = False
    """Also the log messages of the libraries underneath."""
    debug: bool = False
    """Show the traceback of an error."""

    def run(self) -> None:
        """Call the recipe."""
        raise NotImplementedError


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
class Run(Verb):
    """Fine-tune (or take a given model), decompose, sweep and report, as one config file says.

    Example:  jaxtrunc run configs/sst2_marker.yaml train.epochs=1 'sweep.seeds=[0,1]'
    """

    config: Positional[Path]
    """YAML file; docs/config.md lists its keys."""
    overrides: Overrides = ()
    """Values that replace those of the file, such as train.learning_rate=1e-4; quote those with brackets."""
    out_path: Path | None = None
    """Directory of the run; default: the config's out_path, else runs/NAME."""
    resume: bool = False
    """Continue an interrupted run: nothing that is there is computed again."""

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
class Pretrain(Verb):
    """Train a small base model with its own tokenizer on plain text, for work without downloads; on one host.

    Example:  jaxtrunc pretrain configs/pretrain_small.yaml --out-path models/small
    """

    together = False

    config: Positional[Path]
    """YAML file; docs/config.md lists its keys."""
    overrides: Overrides = ()
    """Values that replace those of the file."""
    out_path: Path | None = None
    """Directory of the model; default: the config's out_path, else runs/NAME."""
    resume: bool = False
    """Continue an interrupted training."""

    def run(self) -> None:
        from jaxtrunc.recipes.pretrain import pretrain

        pretrain(self.config, self.overrides, self.out_path, resume=self.resume)


@dataclass(kw_only=True)
class Finetune(Verb):
    """Fine-tune the attention and MLP matrices of a model on a benchmark (train.scope=all: every tensor).

    Group labels stay out of training.

    Writes RUN/model (float32), RUN/metrics.jsonl and checkpoints.

    Example:  jaxtrunc finetune --base-model Qwen/Qwen2.5-0.5B-Instruct --task task.yaml --out-path runs/mine
    """

    base_model: Annotated[str, arg(metavar="REF")]
    """Local Hugging Face directory, org/name or org/name@revision."""
    task: Path
    """Task file, or the name of a built-in or plug-in benchmark (docs/benchmarks.md), such as hans."""
    out_path: Path
    """Directory of the run; refused if it already holds a model."""
    overrides: Overrides = ()
    """Values such as train.learning_rate=1e-4 or mesh.fsdp=4 (docs/config.md)."""
    resume: bool = False
    """Continue from the last checkpoint, to the same weights bit for bit."""

    def run(self) -> None:
        from jaxtrunc.recipes.finetune import finetune

        config = from_mapping(FinetuneConfig, override({}, self.overrides), "command line")
        finetune(self.base_model, self.task, self.out_path, config, resume=self.resume)


@dataclass(kw_only=True)
class Decompose(Verb):
    """Singular value decomposition of every ΔW = W_ft - W_base, once; all truncations are made from it.

    Example:  jaxtrunc decompose --base-model base/ --model finetuned/ --out-path runs/mine -e 'layers.0.'
    """

    base_model: Annotated[str, arg(metavar="REF")]
    """Local Hugging Face directory, org/name or org/name@revision."""
    model: Annotated[str, arg(metavar="REF")]
    """The fine-tuned model, or BASE+ADAPTER for a PEFT adapter on top of a base."""
    out_path: Path
    """Directory of the run; refused if it already holds a decomposition."""
    include: Include = ()
    """Regex searched in the tensor name (model.layers.3.mlp.up_proj.weight); default: attention and MLP linears."""
    exclude: Exclude = ()
    """Regex; a tensor that matches is left as fine-tuned."""
    backend: Backend | None = None
    """Default: gram64 on CPU, device elsewhere. randomized and gram32 serve top_k only."""
    resume: bool = False
    """Keep the matrices that an interrupted decomposition has finished."""

    def run(self) -> None:
        from jaxtrunc.recipes.decompose import decompose

        settings = DecomposeSettings(include=self.include, exclude=self.exclude, backend=self.backend)
        decompose(self.base_model, self.model, self.out_path, settings, resume=self.resume)


@dataclass(kw_only=True)
class Sweep(Verb):
    """Evaluate a decomposed run at many truncations, for accuracy and for the gap between groups; write the report.

    Operators: top_k, bottom_k, drop_top_k, random_k, interpolate, energy, ratio, mp_edge, dg_hard, flatten_k, sparsify, noise.

    Example:  jaxtrunc sweep runs/mine --task task.yaml --operators top_k,random_k --ranks 0,1,2,4,8 --seeds 0,1,2,3,4
    """

    path: Annotated[Positional[Path], arg(metavar="RUN")]
    """Run directory that holds a decomposition."""
    task: Path
    """Task file, or the name of a built-in or plug-in benchmark (docs/benchmarks.md), such as hans."""
    operators: Annotated[str, arg(metavar="NAME,…")] = ",".join(Operators)
    """Operators, separated by commas."""
    ranks: Annotated[str | None, arg(metavar="K,…")] = None
    """Components kept per matrix; default: 0, 1, 2, 4, … and full."""
    fractions: Annotated[str, arg(metavar="X,…")] = ""
    """Shares of the rank of each matrix (of its entries, for sparsify), between 0 and 1."""
    alphas: Annotated[str, arg(metavar="X,…")] = ",".join(map(str, SweepSettings.alphas))
    """Points of the interpolation W_base + α ΔW."""
    seeds: Annotated[str, arg(metavar="S,…")] = ",".join(map(str, SweepSettings.seeds))
    """One draw of the random operators per seed; 5 are the least that gives an interval, a verdict asks for 10."""
    match_norm: bool = False
    """Add bottom_k, drop_top_k, random_k and interpolate once more, each matrix rescaled to the norm of top_k."""
    residual: Literal["ft", "base"] = "ft"
    """Whose value the tensors outside the selection take."""
    tolerance_pp: float = SweepSettings.tolerance_pp
    """Loss of accuracy, in points, that the choice of k allows; the verdict always asks for less than 2."""
    split: str = "test"
    """The split to report; the validation split is scored too, to choose k."""
    limit: int | None = None
    """Evaluate a seeded sample of this many rows, stratified by label and attributes (validation: label alone)."""
    batch_size: int = SweepSettings.batch_size
    """Prompts per forward pass; results do not depend on it."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the operands of matrix products; bfloat16 is faster, rounds the weights, and is checked against float32."""
    log_samples: bool = False
    """Write RUN/samples/NAME.jsonl.gz with prompt, token ids and scores for every record."""
    resume: bool = False
    """Keep the records that are there and compute the missing ones."""

    def run(self) -> None:
        from jaxtrunc.recipes.sweep import sweep

        settings = SweepSettings(
            operators=_words(self.operators), ranks=None if self.ranks is None else _numbers("--ranks", self.ranks, int),
            fractions=_numbers("--fractions", self.fractions, float), alphas=_numbers("--alphas", self.alphas, float),
            seeds=_numbers("--seeds", self.seeds, int), match_norm=self.match_norm, residual=self.residual,
            tolerance_pp=self.tolerance_pp, split=self.split, limit=self.limit, batch_size=self.batch_size,
            dtype=self.dtype, log_samples=self.log_samples)
        sweep(self.path, self.task, settings, resume=self.resume)


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


@dataclass(kw_only=True)
class Export(Verb):
    """Write a truncated model: a Hugging Face directory, or a PEFT adapter ordered by singular value.

    Example:  jaxtrunc export runs/mine --rank 8 --format peft --out-path adapters/mine-8
    """

    together = False

    path: Annotated[Positional[Path], arg(metavar="RUN")]
    """Run directory that holds a decomposition."""
    rank: int
    """Components kept per matrix (for drop_top_k: dropped)."""
    format: Literal["hf", "peft"]
    """hf: model directory with tokenizer and card; peft: LoRA adapter for the base model."""
    out_path: Path
    """Directory to write; refused if not empty."""
    operator: str = "top_k"
    """top_k, bottom_k, drop_top_k, random_k, flatten_k, or noise (hf only)."""
    seed: int | None = None
    """Draw of a random operator."""
    match_norm: bool = False
    """Rescale matrix by matrix to the norm of top_k at the same k."""
    residual: Literal["ft", "base"] = "ft"
    """Whose value the tensors outside the selection take; a peft adapter of a pair in which these differ needs base."""
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """Default: the base checkpoint's."""

    def run(self) -> None:
        from jaxtrunc.recipes.export import ExportRequest, export

        request = ExportRequest(operator=self.operator, rank=self.rank, seed=self.seed, match_norm=self.match_norm,
                                residual=self.residual, format=self.format, dtype=self.dtype)
        export(self.path, self.out_path, request)


@dataclass(kw_only=True)
class Plan(Verb):
    """Say what a run will take, before it is paid for: operations, memory and disk of every stage, and whether it fits.

    Reads config.json and the headers of the weights, never the weights. Exit code 0: it fits, 1: it does not.

    Example:  jaxtrunc plan --base-model Qwen/Qwen2.5-7B-Instruct --mesh data=1,fsdp=8,tensor=1 --device-memory 80GiB
    """

    together = False

    config: Positional[Path | None] = None
    """YAML file as for `run`, or a grid as for `study`; or leave it out and give --base-model."""
    overrides: Overrides = ()
    """Values that replace those of the file, such as train.batch_size=8."""
    base_model: Annotated[str | None, arg(metavar="REF")] = None
    """Local Hugging Face directory, org/name or org/name@revision."""
    model: Annotated[str | None, arg(metavar="REF")] = None
    """The fine-tuned model; left out, fine-tuning is planned too."""
    mesh: Annotated[str | None, arg(metavar="data=D,fsdp=F,tensor=T")] = None
    """The mesh to plan for, of any size; default: the config's, else the devices that are here."""
    device_memory: Annotated[str | None, arg(metavar="SIZE")] = None
    """Of each accelerator, such as 16GiB; no device is touched then. Default: that of the devices that are here."""
    host_memory: Annotated[str | None, arg(metavar="SIZE")] = None
    """Of each host; default: that of this machine."""
    tokens: int | None = None
    """Tokens of the longest prompt; default: what the task's max_text_tokens allows."""
    tflops: float | None = None
    """Of a grid: teraflops that each device sustains; then hours are printed."""
    include: Include = ()
    """As for `decompose`."""
    exclude: Exclude = ()
    """As for `decompose`."""

    def run(self) -> None:
        from jaxtrunc.recipes.plan import What, Where
        from jaxtrunc.recipes.plan_grid import plan_file

        if self.base_model and self.config and "=" in self.config.name:
            raise InputError(f"'{self.config}': with --base-model there is no config file whose values it could replace")
        chosen = DecomposeSettings(include=self.include, exclude=self.exclude)
        plan_file(What(self.config, self.overrides, self.base_model, self.model, chosen, self.tokens),
                  Where(self.mesh, self.device_memory, self.host_memory), self.tflops)


@dataclass(kw_only=True)
class Doctor(Verb):
    """Say what is here, whether it works, and what to do about what does not.

    Looks at processes, devices, memory, versions, precision, a sum over all devices, a small decomposition on every
    backend, and the current directory. Exit code 1 if something is wrong, 0 with advice otherwise.

    Example:  jaxtrunc doctor
    """

    def run(self) -> None:
        from jaxtrunc.recipes.doctor import doctor

        doctor()


VERBS: dict[str, type[Verb]] = {
    "demo": Demo, "run": Run, "study": Study, "collect": Collect, "pretrain": Pretrain, "finetune": Finetune,
    "decompose": Decompose, "sweep": Sweep, "report": Report, "export": Export, "plan": Plan, "doctor": Doctor,
}


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _numbers(flag: str, text: str, kind: type) -> tuple:
    try:
        return tuple(kind(word) for word in _words(text))
    except ValueError:
        wanted = "whole numbers" if kind is int else "numbers"
        raise InputError(f"{flag}: expected {wanted} separated by commas, found '{text}'") from None
