"""What a reader has to know before the numbers, and what the numbers say."""

from typing import Any

from jaxtrunc.report.wording import interval, number

CAUTIONS = (
    "Refusals are counted by a fixed list of phrases: this is neither harm nor safety, which need a judge.",
    "Features were chosen where responses differ, and those differ in their wording: a feature may stand for a template, not for "
    "harm.",
    "What a feature means is read off its contexts and tokens, and such readings are fallible.",
    "Training moves B away from where it began: the columns of U explain the start, the tables below say what became of them.",
    "The floor √(r−1) of the theory belongs to one-dimensional estimates; pca_diff and cov_diff are raw baselines of full rank.",
    "Compare with the LoRA and control adapters of this run, never with printed figures of other models and judges.",
)


def findings(results: dict[str, Any]) -> list[str]:
    """Sentences that the numbers carry: how the subspace compares with chance, and adapters with those that begin in it."""
    said = [f"{site}: E(U, U_shuffled) = {number(facts['e_shuffled'], 2)} of at most {number(facts.get('e_most'), 2)}."
            for site, facts in results["subspaces"].items()]
    if blind := [group for group in results["groups"] if _as_often(results, group)]:
        said.append(f"{', '.join(blind)}: safe prompts are refused as often as unsafe ones, as far as these prompts show. What was "
                    "learned is to refuse, not whom.")
    for group, facts in results["groups"].items():
        for rate, words in (("refusal_rate", "unsafe"), ("over_refusal_rate", "safe")):
            found = facts["minus_subspace"].get(rate)
            if found and found["interval"]:
                said.append(_compared(group, words, found, facts["reference"]))
    return said


def _as_often(results: dict[str, Any], group: str) -> bool:
    """Whether every adapter of a group refuses, and its intervals for unsafe and for safe prompts overlap."""
    members = [facts for facts in results["adapters"].values() if facts["group"] == group]
    return all(facts["metrics"].get("refusal_rate") and _overlap(facts["intervals"]) for facts in members)


def _overlap(intervals: dict[str, Any]) -> bool:
    unsafe, safe = (intervals.get(name) for name in ("refusal_rate", "over_refusal_rate"))
    return unsafe is not None and safe is not None and unsafe[0] <= safe[1] and safe[0] <= unsafe[1]


def _compared(group: str, words: str, found: dict[str, Any], reference: str) -> str:
    low, high = (100 * end for end in found["interval"])
    seeds = list(found["by_seed"].values())
    if low <= 0 <= high:
        verdict = "no difference that these prompts show"
    elif min(seeds) < 0 < max(seeds):
        verdict = "a difference on these prompts whose sign changes with the seed"
    else:
        verdict = "more" if low > 0 else "fewer"
    points = f"{number(100 * found['value'], 1, signed=True)} points {interval(low, high, 1, signed=True)}"
    return (f"{group} refuses {points} of {words} prompts compared with {reference} ({found['seeds']} seeds): {verdict}.")
