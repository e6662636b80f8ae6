"""What can be set about features, subspaces and adapters: standard library only (the command line imports it)."""

from dataclasses import dataclass, replace
from typing import Literal

from jaxtrunc.core.errors import InputError
from jaxtrunc.train.settings import TrainSettings

Pooling = Literal["mean", "last", "all", "max"]
Score = Literal["delta", "signed", "welch"]
Weighting = Literal["delta", "none"]
Init = Literal["subspace", "random_u", "mean_diff", "pca_diff", "cov_diff", "shuffled", "lora"]
AInit = Literal["zero", "random", "compensated"]
Postnorm = Literal["ignore", "divide"]
Constraint = Literal["hidden", "displacement", "output"]
Preset = Literal["paper"]
SAEKind = Literal["topk", "batchtopk", "jumprelu", "standard"]
PAPER_FRACTION = 0.30


@dataclass(frozen=True)
class FeatureSettings:
    """How features are chosen.

    Attributes:
      pooling: over the tokens of a response: mean, last, max, or all (every token counts by itself).
      score: delta (size of the difference of the class means), signed (how much more active where aligned) or welch (size of
        Welch's t).
      budget: features per site; null: 64, unless fraction is given.
      fraction: instead of a budget, a share of the dictionary.
      min_density: features that fire on fewer of the tokens are left out.
      draws: random labellings of the permutation test; 0: no test.
      max_tokens: of one prompt with its response; what is longer is cut.
      batch_size: responses per pass; what is found does not depend on it.
      contexts: activating contexts that are kept of every feature and class.
      explainer: module:function from contexts, tokens and nearest features of a feature to a few words; null: none.
    """

    pooling: Pooling = "mean"
    score: Score = "delta"
    budget: int | None = None
    fraction: float | None = None
    min_density: float = 1e-5
    draws: int = 0
    max_tokens: int = 256
    batch_size: int = 16
    contexts: int = 10
    explainer: str | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their range with an `InputError` that names the key."""
        for name, least in (("draws", 0), ("max_tokens", 8), ("batch_size", 1), ("contexts", 1), ("min_density", 0)):
            if getattr(self, name) < least:
                raise InputError(f"features: {name} must be at least {least}, found {getattr(self, name)}")
        if self.budget is not None and self.fraction is not None:
            raise InputError("features: budget and fraction exclude each other; give one")
        if self.budget is not None and self.budget < 1:
            raise InputError(f"features: budget must be at least 1, found {self.budget}")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise InputError(f"features: fraction must be above 0 and at most 1, found {self.fraction}")

    def with_preset(self, preset: Preset | None) -> "FeatureSettings":
        """Preset `paper`: 30% of the dictionary, unless a budget or fraction is given."""
        if preset is None or self.budget is not None or self.fraction is not None:
            return self
        return replace(self, fraction=PAPER_FRACTION)


@dataclass(frozen=True)
class SubspaceSettings:
    """How the chosen features span a subspace.

    Attributes:
      rank: columns of U.
      tau: share of Σσ² that the reported q components hold; U does not depend on it.
      weighting: delta (rows count by their Δ) or none; null: delta, with the preset paper none.
      center: subtract the mean row first.
    """

    rank: int = 16
    tau: float = 0.8
    weighting: Weighting | None = None
    center: bool = False

    def __post_init__(self) -> None:
        """Refuse values outside their range with an `InputError` that names the key."""
        if self.rank < 1:
            raise InputError(f"subspace: rank must be at least 1, found {self.rank}")
        if not 0 < self.tau <= 1:
            raise InputError(f"subspace: tau must be above 0 and at most 1, found {self.tau}")

    def with_preset(self, preset: Preset | None) -> "SubspaceSettings":
        """Preset `paper`: unweighted, unless a weighting is given."""
        return self if self.weighting else replace(self, weighting="none" if preset else "delta")


@dataclass(frozen=True)
class AdapterTraining(TrainSettings):
    """Training of adapters: AdamW as in arXiv 2512.23260, early stopping by the likelihood of held-out answers.

    Attributes:
      validation_share: share of the rows that is held out for early stopping; which ones hangs on their text alone.
      max_tokens: of a prompt with its response; what is longer is cut.
    """

    learning_rate: float = 5e-5
    schedule: Literal["cosine", "linear", "constant"] = "constant"
    epochs: int = 20
    batch_size: int = 4
    patience: int | None = 5
    validation_share: float = 0.1
    max_tokens: int = 512

    def __post_init__(self) -> None:
        """Refuse values outside their range with an `InputError` that names the key."""
        super().__post_init__()
        self._check("validation_share", lambda value: 0 <= value < 1, "from 0 to below 1")
        self._check("max_tokens", lambda value: value >= 8, "at least 8")


@dataclass(frozen=True)
class AnswerSettings:
    """How answers are asked for.

    Attributes:
      new_tokens: tokens of an answer; a refusal shows within its first 100 characters.
      batch_size: prompts at a time; answers do not depend on it.
      max_tokens: of a prompt; what is longer is cut.
      judge: module:function that scores (prompt, response) from 1 to 5; null: no judge.
    """

    new_tokens: int = 48
    batch_size: int = 32
    max_tokens: int = 512
    judge: str | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their range with an `InputError` that names the key."""
        for name in ("new_tokens", "batch_size", "max_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"answers: {name} must be at least 1, found {getattr(self, name)}")
