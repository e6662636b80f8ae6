"""What the theory of SAE subspaces promises (SAILS, arXiv 2512.23260): a floor, a margin, a bound.

h = Ws + ξ with unit columns w_i. T are the r concepts whose class means differ, by at least δ and at most Δ_max in mean s;
σ₀ = σ_min(W_T). The dictionary sees a = Ms + e with |e_i| ≤ η; off M's diagonal the sum of squares of each row and column is at
most ε²/r; d_min is the least diagonal entry on T. Decoder rows lie within ν of w_i.
"""

import math
from dataclasses import dataclass


def raw_floor(r: int) -> float:
    """√(r − 1): the least recovery error of *any* one-dimensional estimate of an r-dimensional span, however it was made."""
    return math.sqrt(r - 1)


@dataclass(frozen=True)
class Monosemanticity:
    """How well activations follow concepts; names as in the module's text."""

    r: int
    epsilon: float
    delta: float
    delta_max: float
    d_min: float = 1.0
    eta: float = 0.0

    @property
    def low(self) -> float:
        """The largest difference of class means that a feature outside T can show."""
        return self.epsilon * self.delta_max + 2 * self.eta

    @property
    def high(self) -> float:
        """The least difference that a feature of T can show."""
        return self.d_min * self.delta - self.epsilon * math.sqrt((self.r - 1) / self.r) * self.delta_max - 2 * self.eta

    @property
    def separable(self) -> bool:
        """Any threshold in (low, high) selects exactly T: d_min·δ > ε(1 + √((r−1)/r))·Δ_max + 4η."""
        return self.low < self.high


def error_bound(r: int, nu: float, sigma_0: float) -> float:
    """2√r·ν/(σ₀ − √r·ν), the paper's bound on E of the span of exactly the right decoder rows; ∞ from √r·ν = σ₀ on."""
    slack = sigma_0 - math.sqrt(r) * nu
    return 2 * math.sqrt(r) * nu / slack if slack > 0 else math.inf


def sharper_bound(r: int, nu: float, sigma_0: float) -> float:
    """√2·√r·ν/(σ₀ − √r·ν): both spans have rank r, so E is √2 times one residual and not the sum of two."""
    return error_bound(r, nu, sigma_0) / math.sqrt(2)


def tolerated_nu(r: int, target: float, sigma_0: float) -> float:
    """t·σ₀/(√r(2 + t)): with decoder rows nearer than this, E is below the target t."""
    return target * sigma_0 / (math.sqrt(r) * (2 + target))
