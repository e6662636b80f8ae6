"""What a merge is asked to do, and which of it each method understands. Imports no array library."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jaxtrunc.core.errors import InputError, did_you_mean, shown

Rank = int | float | Literal["1/T"]
Sigma = Literal["keep", "flat", "ones"]
Scope = Literal["tensor", "global"]


@dataclass(frozen=True)
class Method:
    """One way to merge.

    Attributes:
      spectral: acts on whole matrices; tensors that are none are averaged. Else it acts entry by entry on every tensor.
      blocks: puts bases of the tasks side by side, so that no matrix may have fewer directions than there are tasks.
      normalize: its default; None where it divides by nothing.
      uses: the parameters besides weight and lambda that change its result.
    """

    name: str
    spectral: bool = False
    blocks: bool = False
    normalize: bool | None = None
    uses: frozenset[str] = frozenset()


def _method(name: str, *uses: str, spectral: bool = False, blocks: bool = False, normalize: bool | None = None) -> Method:
    uses += ("normalize",) if normalize is not None else ()
    return Method(name, spectral, blocks, normalize, frozenset(uses + (("exclude",) if spectral else ())))


METHODS = {method.name: method for method in (
    _method("linear", normalize=True),
    _method("task_arithmetic", normalize=False),
    _method("ties", "density", "scope", normalize=True),
    _method("dare_linear", "density", "seed", normalize=False),
    _method("dare_ties", "density", "seed", normalize=False),
    _method("tsv_merge", spectral=True, blocks=True),
    _method("iso_c", spectral=True),
    _method("iso_cts", spectral=True),
    _method("knots_ties", "density", spectral=True, normalize=True),
    _method("orthogonal", "rank", "sigma", spectral=True, blocks=True),
)}
ALIASES = {"soup": "linear", "dare": "dare_linear"}


@dataclass(frozen=True)
class MergeSettings:
    """How T models are merged.

    Attributes:
      method: a key of METHODS or ALIASES.
      weights: one per model, multiplying its task vector (for linear: the model itself).
      densities: share of entries kept, one per model.
      lam: λ, multiplying the merged task vector.
      normalize: divide by the weights; None: the method's default.
      rank: components per task: a number, a share of min(m, n), or 1/T of it.
      sigma: which singular values the orthogonalised directions get: their own, their mean, or one.
      scope: over what the densities of TIES are counted.
      exclude: regex; tensors whose name matches are averaged by the spectral methods.
      seed: of DARE's masks.
      rcond_sv: singular values of gathered bases up to this are left out of their polar factor.
    """

    method: str
    weights: tuple[float, ...]
    densities: tuple[float, ...]
    lam: float = 1.0
    normalize: bool | None = None
    rank: Rank = "1/T"
    sigma: Sigma = "keep"
    scope: Scope = "tensor"
    exclude: str | None = None
    seed: int = 0
    rcond_sv: float = 1e-6

    @property
    def how(self) -> Method:
        """What is known of the method."""
        return find_method(self.method)

    @property
    def tasks(self) -> int:
        """T, how many models are merged."""
        return len(self.weights)

    @property
    def normalized(self) -> bool:
        """Whether it divides by the weights."""
        return bool(self.how.normalize if self.normalize is None else self.normalize)

    def components(self, shortest: int) -> tuple[int, bool]:
        """k of each task in a matrix whose shorter side is `shortest`, and whether it had to be lowered to fit."""
        fitting = shortest // self.tasks
        if self.how.name != "orthogonal" or self.rank == "1/T":
            return fitting, False
        asked = self.rank if isinstance(self.rank, int) else max(1, math.floor(self.rank * shortest))
        return (asked, False) if asked * self.tasks <= shortest else (fitting, True)


def find_method(name: str) -> Method:
    """The method of that name or alias; `InputError` names the nearest."""
    method = METHODS.get(ALIASES.get(name, name))
    if method is None:
        raise InputError(f"merge_method: unknown method '{name}'{did_you_mean(name, METHODS)}")
    return method


def check(settings: MergeSettings) -> None:
    """Raise `InputError` for the first value that makes no sense."""
    how = settings.how
    if not settings.tasks:
        raise InputError("models: expected at least one model to merge, found none")
    if len(settings.densities) != settings.tasks:
        raise InputError(f"density: expected one per model, {settings.tasks}, found {len(settings.densities)}")
    for key, value in (("lambda", settings.lam), *(("weight", weight) for weight in settings.weights)):
        if not math.isfinite(value):
            raise InputError(f"{key}: expected a finite number, found {value}")
    if "density" in how.uses:
        for density in settings.densities:
            _check_density(density)
    if how.name in ("linear", "task_arithmetic", "dare_linear") and settings.normalized and _cancel(settings.weights):
        raise InputError("weight: the weights add up to 0, by which normalize would divide; choose others or normalize: false")
    _check_rank(settings.rank)
    _check_regex(settings.exclude)
    if settings.seed < 0:
        raise InputError(f"seed: expected a whole number of at least 0, found {settings.seed}")


def parse_rank(text: str) -> Rank:
    """The rank that a command line gives: `64`, `0.25` or `1/T`."""
    if text == "1/T":
        return "1/T"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise InputError(f"rank: expected a whole number, a share between 0 and 1, or 1/T, found {shown(text)}")


def unused(settings: MergeSettings, given: Sequence[str]) -> list[str]:
    """Those of the `given` parameters that the method does not look at."""
    known = {"density", "normalize", "rank", "sigma", "scope", "exclude", "seed"} - settings.how.uses
    return [key for key in given if key in known or (key == "lambda" and settings.how.name == "linear")]


def _cancel(weights: Sequence[float]) -> bool:
    """Whether the sum is zero but for rounding, as that of 0.1, 0.2 and −0.3 is."""
    return abs(math.fsum(weights)) <= 1e-9 * math.fsum(map(abs, weights))


def _check_density(density: float) -> None:
    if not 0 < density <= 1:
        raise InputError(f"density: expected a share above 0 and at most 1, found {density}")


def _check_rank(rank: Rank) -> None:
    if rank == "1/T":
        return
    if isinstance(rank, int) and rank < 1:
        raise InputError(f"rank: expected at least 1, found {rank}")
    if isinstance(rank, float) and not 0 < rank <= 1:
        raise InputError(f"rank: expected a share of min(m, n) above 0 and at most 1, or a whole number, found {rank}")


def _check_regex(pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise InputError(f"exclude: {shown(pattern)} is not a regular expression ({error})") from None
