"""What the suite has to show: its targets, and which script answers each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One line; `at_least` says on which side of `must` and `aim` it is met, `obstacle` what stands between us and the aim."""

    name: str
    script: str
    words: str
    must: float
    aim: float
    at_least: bool = True
    obstacle: str = ""

    def met(self, value: float) -> str:
        """`aim`, `must` or `no`."""
        for level in ("aim", "must"):
            bound = getattr(self, level)
            if value >= bound if self.at_least else value <= bound:
                return level
        return "no"


TARGETS = (
    Target("all_leaves", "decompose", "all leaves of a 0.5B model against mergekit's kernel, ×", 2, 3),
    Target("sigma_error", "decompose", "σ error at full rank, tall and square", 1e-10, 1e-10, at_least=False),
    Target("leading_128", "decompose", "exact leading 128 only, against the same, ×", 2.5, 4),
    Target("rebuild", "levels", "rebuild of 11 levels against U·S·Vᵀ per level, ×", 3, 5),
    Target("once", "levels", "decomposition + 11 levels against mergekit's kernel run once + rebuild, ×", 2.6, 4),
    Target("per_level", "levels", "the same against mergekit run once per level, ×", 15, 30),
    Target("evaluations_float32", "sweep", "12 evaluations in units of one plain HF evaluation, float32", 3, 1.5, at_least=False),
    Target("evaluations_bfloat16", "sweep", "the same, bfloat16 against bfloat16", 6, 3, at_least=False),
    Target("sweep_f32", "sweep", "12 evaluations and 12 levels rebuilt, in the same units, float32", 3, 1.5, at_least=False),
    Target("sweep_bf16", "sweep", "the same, bfloat16 against bfloat16", 6, 3, at_least=False),
    Target("recompilations", "sweep", "recompilations in a sweep", 0, 0, at_least=False),
    Target("resident", "read", "resident memory of the ΔW stage over the start of the process, × the two files", 0.5, 0,
           at_least=False),
    Target("reading", "read", "HF load of both + ΔW against streamed ΔW, ×", 8, 15),
    Target("help", "startup", "`jaxtrunc --help`, CPU seconds", 0.3, 0.3, at_least=False),
    Target("second_run", "startup", "programs compiled by a second run of the same config", 0, 0, at_least=False),
    Target("sift_step", "sift", "SIFT step with a fifth of the matrices firing over Optax's Muon, ×", 2, 1.5, at_least=False),
    Target("lens_svd", "lens", "σ, V and leading U of a vocabulary head against `torch.linalg.svd`, ×", 2.5, 2.5),
)
