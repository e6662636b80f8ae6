"""`jaxtrunc export`: one level of a decomposed run as a Hugging Face directory or a PEFT adapter."""

from dataclasses import dataclass
from pathlib import Path

from jaxtrunc import __version__, spectral
from jaxtrunc.adapters.export import write_adapter
from jaxtrunc.core.errors import InputError
from jaxtrunc.core.files import refuse_taken
from jaxtrunc.core.progress import say
from jaxtrunc.core.rundir import open_run
from jaxtrunc.models import hf_tensors, write_model
from jaxtrunc.recipes.decompose import stored_decomposition
from jaxtrunc.recipes.outside import changed_outside, in_words
from jaxtrunc.recipes.pair import Pair, recall_pair


@dataclass(frozen=True)
class ExportRequest:
    """What to export; `dtype` None is that of the base checkpoint."""

    operator: str
    rank: int
    seed: int | None
    match_norm: bool
    residual: str
    format: str
    dtype: str | None

    @property
    def level(self) -> spectral.Level:
        """The level asked for.

        Raises:
          InputError: an operator that has no rank, a random one without a seed, a seed for one that draws nothing.
        """
        operator = spectral.find_operator(self.operator)
        if operator.axis != "rank":
            able = ", ".join(name for name, other in spectral.OPERATORS.items() if other.axis == "rank")
            raise InputError(f"--operator {self.operator}: has no rank to export; these have: {able}")
        if operator.random != (self.seed is not None):
            wanted = "needs --seed S" if operator.random else "draws nothing, leave --seed out"
            raise InputError(f"--operator {self.operator}: {wanted}")
        for flag, value in (("--rank", self.rank), ("--seed", self.seed or 0)):
            if value < 0:
                raise InputError(f"{flag}: expected at least 0, found {value}")
        return spectral.Level(self.operator, k=self.rank, seed=self.seed, norm_matched=self.match_norm)

    def __str__(self) -> str:
        parts = [f"{self.operator}, k = {self.rank}"]
        parts += [f"seed {self.seed}"] if self.seed is not None else []
        parts += ["matched to the norm of top_k"] if self.match_norm else []
        return ", ".join(parts)


def export(path: Path, out_path: Path, request: ExportRequest) -> None:
    """Write the level of `request` to `out_path`.

    Raises:
      InputError: a level that does not exist, `out_path` taken, or an adapter of a pair in which tensors outside the
        adapter differ (and residual is not base).
    """
    level = request.level
    run = open_run(path, "decomposition", "decompose")
    refuse_taken(out_path)
    pair = recall_pair(run)
    decomposition = stored_decomposition(run, pair)
    if request.format == "peft":
        _export_adapter(out_path, pair, decomposition, level, request)
    else:
        _export_model(out_path, pair, decomposition, level, request)
    say(f"{request.format}: {out_path}")


def _export_model(out_path: Path, pair: Pair, decomposition: spectral.Decomposition, level: spectral.Level,
                  request: ExportRequest) -> None:
    rebuild = spectral.Reconstructor(decomposition, pair.base.leaves, pair.ft.leaves, residual=request.residual)
    weights = rebuild.weights(level)
    if weights.skipped_reason:
        raise InputError(f"{request}: {weights.skipped_reason}")
    dtype = request.dtype or _stored_dtype(pair)
    roundoff = weights.roundoff(dtype)
    doubts = spectral.distrust(weights.max_norm_factor, roundoff, dtype)
    for doubt in doubts:
        say(f"warning: {doubt}")
    kept = pair.ft.leaves if request.residual == "ft" else pair.base.leaves
    facts = [*(f"Warning: {doubt}." for doubt in doubts),
             f"The tensors outside the cut matrices have their {request.residual} value."]
    if dtype != "float32":
        facts.append(f"Stored as {dtype}; rounding against the kept update, median and maximum over matrices: {roundoff}.")
        say(f"roundoff of {dtype}: {roundoff}")
    write_model(out_path, hf_tensors(pair.cfg, {**kept, **weights.leaves}), source=pair.base.source.directory, cfg=pair.cfg,
                dtype=dtype, readme=_card(pair, request, facts))


def _export_adapter(out_path: Path, pair: Pair, decomposition: spectral.Decomposition, level: spectral.Level,
                    request: ExportRequest) -> None:
    changes = changed_outside(pair, {*decomposition.matrices, *decomposition.skipped})
    if changes and request.residual == "ft":
        raise InputError(f"{len(changes)} tensors outside the adapter differ between base and fine-tuned and cannot be part of it: "
                         f"{in_words(changes)}; export --format hf, or --residual base to leave them at their base value")
    if request.dtype is not None:
        raise InputError("--dtype: an adapter is stored as float32, whatever the base; leave it out")
    rebuild = spectral.Reconstructor(decomposition, pair.base.leaves, pair.ft.leaves, residual=request.residual)
    notes = [f"The update of `{pair.ft.ref}` over `{pair.base.ref}`, cut by singular value: {request}.",
             "The columns are ordered by singular value, so the first k rows of every A and columns of every B are the adapter of "
             "rank k."]
    if changes:
        notes.append(f"{len(changes)} changed tensors are not in it and keep their base value: {in_words(changes)}.")
    write_adapter(out_path, rebuild.factors(level), base_ref=pair.base.ref, title=f"Truncated update ({request})",
                  notes="\n\n".join(notes))


def _stored_dtype(pair: Pair) -> str:
    """The dtype of the base checkpoint's kernels."""
    return str(max((leaf.dtype for path, leaf in pair.base.leaves.items() if path.endswith("kernel")), key=lambda d: d.itemsize))


def _card(pair: Pair, request: ExportRequest, facts: list[str]) -> str:
    return "\n\n".join([f"# Truncated model ({request})",
                        f"`{pair.base.ref}` plus the update that fine-tuning to `{pair.ft.ref}` wrote, cut by singular value: "
                        f"{request}.", *facts, f"Made by jaxtrunc {__version__}.", ""])
