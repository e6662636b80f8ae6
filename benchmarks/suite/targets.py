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
    Target("leading_128", "decompose", "exact leading 128 only, against the same, ×", 2.5, 4,
           obstacle="most of the time is the float64 Gram matrix and its reduction to tridiagonal form, bound by memory, which any "
           "exact number of components needs; a randomised method is a sixth faster and wrong in the first digit"),
    Target("rebuild", "levels", "rebuild of 11 levels against U·S·Vᵀ per level, ×", 3, 5,
           obstacle="a product of the components in between and a pass over W_base remain for each level"),
    Target("once", "levels", "decomposition + 11 levels against mergekit's kernel run once + rebuild, ×", 2.6, 4,
           obstacle="Gram matrices and eigenvectors take some 45 % of our time, ΔW·V in float64 25 %, the levels 15 %, reading "
           "both weights and seeing that they did not change 10 %; in float32 ΔW·V would take half, with its smallest components "
           "wrong in the fifth digit"),
    Target("per_level", "levels", "the same against mergekit run once per level, ×", 15, 30, obstacle="as above"),
    Target("evaluations_float32", "sweep", "12 evaluations in units of one plain HF evaluation, float32", 3, 1.5, at_least=False),
    Target("evaluations_bfloat16", "sweep", "the same, bfloat16 against bfloat16", 6, 3, at_least=False),
    Target("sweep_f32", "sweep", "12 evaluations and 12 levels rebuilt, in the same units, float32", 3, 1.5, at_least=False,
           obstacle="a quarter of the time is the rebuilding, which costs the same however many prompts there are, 16 here"),
    Target("sweep_bf16", "sweep", "the same, bfloat16 against bfloat16", 6, 3, at_least=False,
           obstacle="half of the time is the rebuilding in float32, the cast of the kernels, and the record of what it loses; "
           "torch has its kernels in bfloat16 before it is timed"),
    Target("recompilations", "sweep", "recompilations in a sweep", 0, 0, at_least=False),
    Target("resident", "read", "resident memory of the ΔW stage over the start of the process, × the two files "
           "(aim: 4 × the largest ΔW)", 0.5, 0.035, at_least=False,
           obstacle="both mapped matrices and ΔW itself are half of it, the interpreter's own growth the rest"),
    Target("reading", "read", "HF load of both + ΔW against streamed ΔW, ×", 8, 15,
           obstacle="transformers' load takes less than half of what it took when the aim was set; a careful user of safe_open is "
           "as fast as we are, with twenty times the memory"),
    Target("help", "startup", "`jaxtrunc --help`, CPU seconds", 0.3, 0.3, at_least=False),
    Target("second_run", "startup", "programs compiled by a second run of the same config", 0, 0, at_least=False),
    Target("sift_step", "sift", "SIFT step with a fifth of the matrices firing over Optax's Muon, ×", 2, 1.5, at_least=False),
    Target("lens_svd", "lens", "σ, V and leading U of a vocabulary head against `torch.linalg.svd`, ×", 2.5, 2.5),
)
