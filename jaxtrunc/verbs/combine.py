"""The verb that makes one model of several."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from jaxtrunc.verbs.verb import Verb

# What stands behind a flag's help; a flag that is not given leaves the word to the file.
NOTHING, ONE, OF_THE_FILE = "", "(default: 1)", "(default: the file's)"


@dataclass(kw_only=True)
class Merge(Verb):
    """Merge models that were tuned from one base into one Hugging Face directory, and say how they interfere.

    Example:  jaxtrunc merge --method orthogonal --base-model base/ --models one/ two/ base/+adapter/ --out-path merged/
    """

    together = False

    config: Annotated[Positional[Path | None], arg(metavar="[FILE]", help_behavior_hint=NOTHING)] = None
    """YAML file as mergekit reads it (docs/merge.md); flags override it."""
    method: Annotated[str | None, arg(metavar="NAME", help_behavior_hint=OF_THE_FILE)] = None
    """linear (soup), task_arithmetic, ties, dare_linear (dare), dare_ties, tsv_merge, iso_c, iso_cts, knots_ties or orthogonal."""
    base_model: Annotated[str | None, arg(metavar="REF", help_behavior_hint=OF_THE_FILE)] = None
    """The model that all were tuned from; only linear does without."""
    models: Annotated[tuple[str, ...], arg(metavar="REF …", help_behavior_hint=OF_THE_FILE)] = ()
    """Hugging Face directories, org/name[@revision], or BASE+ADAPTER for a PEFT adapter."""
    out_path: Path
    """Directory to write; refused if not empty."""
    weight: Annotated[tuple[float, ...], arg(metavar="W …", help_behavior_hint=ONE)] = ()
    """Multiplies a model's task vector: one for all, or one per model."""
    density: Annotated[tuple[float, ...], arg(metavar="D …", help_behavior_hint=ONE)] = ()
    """Share of entries that ties, dare_* and knots_ties keep: one for all, or one per model."""
    lambda_: Annotated[float | None, arg(name="lambda", metavar="L", help_behavior_hint=ONE)] = None
    """Multiplies the merged task vector."""
    normalize: Annotated[bool, arg(help_behavior_hint=NOTHING)] = False
    """Divide by the weights, as linear, ties and knots_ties do anyway."""
    rank: Annotated[str | None, arg(metavar="K|F|1/T", help_behavior_hint="(default: 1/T)")] = None
    """For orthogonal: components per model, as a number, a share of min(m, n), or 1/T of it."""
    sigma: Annotated[str | None, arg(metavar="keep|flat|ones", help_behavior_hint="(default: keep)")] = None
    """For orthogonal: singular values stay, become their mean, or one."""
    scope: Annotated[str | None, arg(metavar="tensor|global", help_behavior_hint="(default: tensor)")] = None
    """For ties: a threshold for every tensor, or one for all."""
    exclude: Annotated[str | None, arg(metavar="REGEX", help_behavior_hint=NOTHING)] = None
    """Tensors that the spectral methods only average, besides embeddings, head and vectors."""
    seed: Annotated[int | None, arg(metavar="S", help_behavior_hint="(default: 0)")] = None
    """Of the masks of dare_*."""
    dtype: Annotated[str | None, arg(metavar="float32|bfloat16|float16", help_behavior_hint="(default: the base model's)")] = None
    """Of the result. Sums are float32 and cast once."""
    max_shard_size: Annotated[str, arg(metavar="SIZE")] = "5GB"
    """The weights are split into several files above this size."""

    def run(self) -> None:
        from jaxtrunc.recipes.merge import merge
        from jaxtrunc.recipes.merge_config import MergeFlags

        flags = MergeFlags(self.method, self.base_model, self.models, self.weight, self.density, self.lambda_, self.normalize,
                           self.rank, self.sigma, self.scope, self.exclude, self.seed, self.dtype)
        merge(self.config, self.out_path, flags, self.max_shard_size)
