"""The paper's claims (arXiv 2606.07596) as a checklist over many runs.

What holds in one run stands in `collect_outcomes`. Over runs the worst outcome counts, since the claims are made for every
model and benchmark; only the largest reduction is a claim about the best. One run is enough against the former and for the latter;
the other way round every run that might test a claim has to, or the state says "where tested".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from jaxtrunc.report import collect_outcomes as outcomes
from jaxtrunc.report import wording
from jaxtrunc.report.collect_facts import Run
from jaxtrunc.report.collect_outcomes import STATES, Outcome

CONTROLS = {
    "bottom-k": ("paper", ("bottom_k", "drop_top_k")), "random-k": ("paper", ("random_k",)),
    "matched-rank LoRA": ("paper", ("lora",)), "interpolation": ("ours", ("interpolate",)),
}
AGAINST, FAVOURABLE = STATES[:2], STATES[2:]
WHERE_TESTED = " where tested"
Look = Callable[[Run], Outcome | None]


@dataclass(frozen=True)
class Claim:
    """A line of the checklist.

    Attributes:
      source: "paper", or "ours" where the paper does not ask.
      state: one of `STATES`, with " where tested" after it if other runs leave the claim open, or "not tested".
      number: the number it rests on, and the run it was found in.
      outcomes: of every run (or pair of runs) that tests it; `asked`: how many might have.
    """

    text: str
    source: str
    state: str
    number: str
    outcomes: tuple[Outcome, ...]
    asked: int

    @property
    def counts(self) -> str:
        """`confirmed in 3, nominal in 1, not tested in 2`."""
        found = [(state, sum(outcome.state == state for outcome in self.outcomes)) for state in reversed(STATES)]
        found += [("not tested", self.asked - len(self.outcomes))]
        return ", ".join(f"{state} in {count}" for state, count in found if count) or "no such run"

    def plain(self) -> dict[str, Any]:
        """As collect.json holds it."""
        return {"claim": self.text, "source": self.source, "state": self.state, "number": self.number, "counts": self.counts,
                "outcomes": [{"where": o.where, "state": o.state, **(o.entry or {})} for o in self.outcomes]}


def checklist(runs: Sequence[Run], similarity: Sequence[dict[str, Any]]) -> list[Claim]:
    """Every claim, over the runs that can test it.

    Args:
      similarity: `{"a", "b", "value"}` for pairs of runs of one base model and different tasks.
    """
    usual, boundary = [run for run in runs if not run.is_boundary], [run for run in runs if run.is_boundary]
    civil = [run for run in usual if "civil" in run.task.lower()]
    return [
        _over(usual, "ours", "Fine-tuning learns the shortcut: its gap is not 0", outcomes.shortcut),
        _over(usual, "paper", "Truncation shrinks the gap in every model × benchmark cell: R(k*) > 1", outcomes.reduction),
        _over(usual, "paper", "The accuracy loss at k* is under 2 points in every cell", outcomes.loss),
        _over(civil, "paper", "The largest reduction is about 5×, on CivilComments", outcomes.five_times, best=True),
        _over(usual, "paper", "Gap and accuracy decouple: decoupling of top_k above 0", outcomes.decoupling),
        *(_over(usual, source, f"Not explained by {name}: top_k has the smaller gap at matched accuracy",
                partial(outcomes.control, names=names)) for name, (source, names) in CONTROLS.items()),
        _over(usual, "paper", f"The spectra of ΔW are broad: 90 % of the energy takes over {outcomes.BROAD:.0%} of the components",
              outcomes.broad),
        _claim("paper", f"The spectra are alike across tasks: cumulative energies differ by at most {outcomes.ALIKE}",
               [outcomes.alike(pair) for pair in similarity], len(similarity)),
        _over(boundary, "paper", "Boundary case: with nothing but a shortcut to learn, truncation collapses to base",
              outcomes.collapse),
    ]


def _over(runs: Sequence[Run], source: str, text: str, look: Look, *, best: bool = False) -> Claim:
    found = [look(run) for run in runs]
    return _claim(source, text, [outcome for outcome in found if outcome], len(runs), best=best)


def _claim(source: str, text: str, found: list[Outcome], asked: int, *, best: bool = False) -> Claim:
    if not found:
        return Claim(text, source, "not tested", wording.NONE, (), asked)
    decides = (max if best else min)(found, key=lambda outcome: outcome.severity)
    settled = len(found) == asked or decides.state in (FAVOURABLE if best else AGAINST)
    state = decides.state if settled else decides.state + WHERE_TESTED
    return Claim(text, source, state, f"{decides.said} ({decides.where})", tuple(found), asked)
