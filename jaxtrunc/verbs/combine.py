"""The verb that makes one model of several."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from jaxtrunc.verbs.verb import Verb


@dataclass(kw_only=True)
class Merge(Verb):
    """Merge models that were tuned from one base into one Hugging Face directory, and say how they interfere.

    Methods: linear (soup), task_arithmetic, ties, dare_linear (dare), dare_ties, tsv_merge, iso_c, iso_cts, knots_ties, orthogonal.

    Example:  jaxtrunc merge --method orthogonal --base-model base/ --models one/ two/ base/+adapter/ --out-path merged/
    """

    together = False

    config: Positional[Path | None] = None
    """YAML file as mergekit reads it (docs/merge.md); flags override it."""
    method: Annotated[str | None, arg(metavar="NAME")] = None
    """How to merge."""
    base_model: Annotated[str | None, arg(metavar="REF")] = None
    """The model that all were tuned from; only linear does without."""
    models: Annotated[tuple[str, ...], arg(metavar="REF …")] = ()
    """Hugging Face directories, org/name[@revision], or BASE+ADAPTER for a PEFT adapter."""
    out_path: Path
    """Directory to write; refused if not empty."""
    weight: Annotated[tuple[float, ...], arg(metavar="W …")] = ()
    """Multiplies a model's task vector: one for all, or one per model; default 1."""
    density: Annotated[tuple[float, ...], arg(metavar="D …")] = ()
    """Share of entries that ties, dare_* and knots_ties keep: one for all, or one per model; default 1."""
    lambda_: Annotated[float | None, arg(name="lambda", metavar="L")] = None
    """Multiplies the merged task vector; default 1."""
    normalize: bool = False
    """Divide by the weights, as linear, ties and knots_ties do anyway."""
    rank: Annotated[str | None, arg(metavar="K|F|1/T")] = None
    """For orthogonal: components per model, as a number, a share of min(m, n), or (default) 1/T of it."""
    sigma: Literal["keep", "flat", "ones"] | None = None
    """For orthogonal: singular values stay (default), become their mean, or one."""
    scope: Literal["tensor", "global"] | None = None
    """For ties: a threshold for every tensor (default), or one for all."""
    exclude: Annotated[str | None, arg(metavar="REGEX")] = None
    """Tensors that the spectral methods only average, besides embeddings, head and vectors."""
    seed: int | None = None
    """Of the masks of dare_*; default 0."""
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """Of the result; default: the base model's. Sums are float32 and cast once."""
    max_shard_size: Annotated[str, arg(metavar="SIZE")] = "5GB"
    """The weights are split into several files above this size."""

    def run(self) -> None:
        from jaxtrunc.recipes.merge import merge
        from jaxtrunc.recipes.merge_config import MergeFlags

        flags = MergeFlags(self.method, self.base_model, self.models, self.weight, self.density, self.lambda_, self.normalize,
                           self.rank, self.sigma, self.scope, self.exclude, self.seed, self.dtype)
        merge(self.config, self.out_path, flags, self.max_shard_size)
