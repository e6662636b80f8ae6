"""What can be set about an adapter that begins in a subspace: a frozen dataclass, standard library only."""

from dataclasses import dataclass
from typing import Literal

from jaxtrunc.core.errors import InputError

MODULES = ("q", "k", "v", "o", "gate", "up", "down")


@dataclass(frozen=True)
class AdaptSettings:
    """Low-rank factors whose second one begins as init_scale·Uᵀ (arXiv 2512.23260), its values as defaults.

    Attributes:
      targets: matrices of a site's layer that get factors: o and down where they begin in a subspace, any for plain LoRA.
      companions: matrices of every layer that get plain LoRA of the same rank besides: q, k, v, o, gate, up, down.
      rank: columns of U, and rank of every factor.
      lora_alpha: the update is lora_alpha / rank times A·B.
      init_scale: of B at the start.
      a_init: of A at the start: zero (nothing is added to the base), random (uniform within ±1/√in, something is), or compensated
        (random, and what it adds is taken off).
      freeze_b: B is not trained where it begins in a subspace.
      postnorm: ignore, or divide U by the gain of the norm behind the matrix, in models that have one.
      dropout: share of what A reads that is set to zero in training.
      constraint: what is kept inside U: hidden (state), displacement (of it from the base model's), output (of the adapter).
      constraint_factor: of that penalty beside the loss, λ.
      constraint_scale: base divides each layer's penalty by the base model's mean ‖h‖² in the first batch; none does not.
    """

    targets: tuple[str, ...] = ("o",)
    companions: tuple[str, ...] = ()
    rank: int = 16
    lora_alpha: float = 32.0
    init_scale: float = 0.1
    a_init: Literal["zero", "random", "compensated"] = "zero"
    freeze_b: bool = False
    postnorm: Literal["ignore", "divide"] = "ignore"
    dropout: float = 0.1
    constraint: Literal["hidden", "displacement", "output"] | None = None
    constraint_factor: float = 0.0
    constraint_scale: Literal["base", "none"] = "base"

    def __post_init__(self) -> None:
        """Refuse values outside their range with an `InputError` that names the key."""
        for name in ("targets", "companions"):
            strangers = [each for each in getattr(self, name) if each not in MODULES]
            if strangers:
                raise InputError(f"adapt: {name} must be of {', '.join(MODULES)}, found {', '.join(strangers)}")
        for name, holds, wanted in (("targets", bool(self.targets), "at least one matrix"), ("rank", self.rank >= 1, "at least 1"),
                                    ("lora_alpha", self.lora_alpha > 0, "above 0"), ("init_scale", self.init_scale > 0, "above 0"),
                                    ("dropout", 0 <= self.dropout < 1, "from 0 to below 1"),
                                    ("constraint_factor", self.constraint_factor >= 0, "at least 0")):
            if not holds:
                raise InputError(f"adapt: {name} must be {wanted}, found {getattr(self, name)}")
        if self.constraint is None and self.constraint_factor:
            raise InputError(f"adapt: constraint_factor is {self.constraint_factor:g}, but there is no constraint; choose one of "
                             "hidden, displacement, output")

    @property
    def scale(self) -> float:
        """s of the update s·A·B."""
        return self.lora_alpha / self.rank
