"""Verbs that do one stage of the main job, or make or take away what it works on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from jaxtrunc.config import DecomposeSettings, FinetuneConfig, Operators, SweepSettings, from_mapping, override
from jaxtrunc.core.errors import InputError
from jaxtrunc.verbs.verb import Exclude, FromConfig, Include, Overrides, Verb, numbers, words

Backend = Literal["gram64", "host", "device", "randomized", "gram32"]


@dataclass(kw_only=True)
class Pretrain(FromConfig):
    """Train a small base model with its own tokenizer on plain text, for work without downloads; on one host.

    Example:  jaxtrunc pretrain configs/pretrain_small.yaml --out-path models/small
    """

    together = False

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
    leading: Annotated[int | None, arg(metavar="K")] = None
    """Only the K largest components of every matrix: enough for top_k up to K, and faster. They are exact with gram64."""
    fast: bool = False
    """Short for --backend gram32: leading components by float32 Gram matrices; what that costs is measured and printed."""
    eigensolver: Literal["device", "host"] | None = None
    """With --backend device, where eigenvectors are found; default: measured once per size of matrix."""
    resume: bool = False
    """Keep the matrices that an interrupted decomposition has finished."""

    def run(self) -> None:
        from jaxtrunc.recipes.decompose import decompose

        if self.fast and self.backend not in (None, "gram32"):
            raise InputError(f"--fast means --backend gram32, found --backend {self.backend}: give one of the two")
        settings = DecomposeSettings(self.include, self.exclude, "gram32" if self.fast else self.backend, self.leading,
                                     self.eigensolver)
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
    exact_every: Annotated[int | None, arg(metavar="N")] = None
    """Rebuild each N-th level from all its components at once, and record how far the sum over levels was off."""
    log_samples: bool = False
    """Write RUN/samples/NAME.jsonl.gz with prompt, token ids and scores for every record."""
    resume: bool = False
    """Keep the records that are there and compute the missing ones."""

    def run(self) -> None:
        from jaxtrunc.recipes.sweep import sweep

        settings = SweepSettings(
            operators=words(self.operators), ranks=None if self.ranks is None else numbers("--ranks", self.ranks, int),
            fractions=numbers("--fractions", self.fractions, float), alphas=numbers("--alphas", self.alphas, float),
            seeds=numbers("--seeds", self.seeds, int), match_norm=self.match_norm, residual=self.residual,
            tolerance_pp=self.tolerance_pp, split=self.split, limit=self.limit, batch_size=self.batch_size,
            dtype=self.dtype, exact_every=self.exact_every, log_samples=self.log_samples)
        sweep(self.path, self.task, settings, resume=self.resume)


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
