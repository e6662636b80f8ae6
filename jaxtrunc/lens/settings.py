"""What can be chosen about an audit; `docs/lens.md` says what each value rests on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LensSettings:
    """Directions `k` and tokens per pole `m`; the null of VCS; what counts as an outlier; when a group counts as kept.

    Attributes:
      draws, seed: random groups that a pole's VCS is compared with.
      flag_z: |robust z| beyond which a token is an outlier.
      recovery, cohesion: a group is `retained` if that share of its tokens comes back, with that share of its cohesion.
      new_z: a pole without a counterpart is `new` above this vcs_z.
      listed: tokens per list.
    """

    k: int = 30
    m: int = 20
    draws: int = 200
    seed: int = 0
    flag_z: float = 3.5
    recovery: float = 0.5
    cohesion: float = 0.8
    new_z: float = 3.0
    listed: int = 50
