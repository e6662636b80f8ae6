"""What can be typed: one dataclass per verb, its help text, and the recipe it calls. Imports neither numpy nor jax."""

from jaxtrunc.verbs.combine import Merge
from jaxtrunc.verbs.look import Doctor, Lens, Plan
from jaxtrunc.verbs.sae import SAE_VERBS, Sae
from jaxtrunc.verbs.steer import Steer
from jaxtrunc.verbs.steps import Decompose, Export, Finetune, Pretrain, Sweep
from jaxtrunc.verbs.verb import Verb
from jaxtrunc.verbs.whole import Collect, Demo, Report, Run, Study

__all__ = ["GROUPS", "VERBS", "Verb"]

VERBS: dict[str, type[Verb]] = {
    "demo": Demo, "run": Run, "study": Study, "collect": Collect, "pretrain": Pretrain, "finetune": Finetune,
    "decompose": Decompose, "sweep": Sweep, "report": Report, "export": Export, "plan": Plan,
    "merge": Merge, "steer": Steer, "lens": Lens, "sae": Sae, "doctor": Doctor,
}
# Verbs that have verbs of their own: `jaxtrunc sae train`.
GROUPS: dict[str, dict[str, type[Verb]]] = {"sae": SAE_VERBS}
