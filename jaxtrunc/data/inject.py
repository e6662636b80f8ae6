"""Plant a marker token whose presence goes with one class at a chosen rate: a shortcut we know everything about.

With correlation ρ in a split, a row of the class `class` gets the marker with probability ρ and a row of any other
class with probability 1 − ρ (`direction: aligned`); `direction: reversed` swaps the two. At ρ = 0.5 marker and class
are independent. Each row's draw depends on the seed, the split and its id alone. A marker at the end of a long text is
lost where `max_text_tokens` cuts, hence `position: start` is the default.
"""

from jaxtrunc.data.hashing import uniforms
from jaxtrunc.data.task import Inject


def marked(rule: Inject, split: str, id: str, is_target: bool, text: str) -> tuple[str, int]:
    """The text of one row after the draw, and the value of the attribute (1: the marker was planted)."""
    presence, place = uniforms(f"{rule.seed}/{split}/{id}", 2)
    correlation = rule.correlation[split]
    probability = correlation if is_target == (rule.direction == "aligned") else 1.0 - correlation
    if presence >= probability:
        return text, 0
    return _plant(text, rule.token, rule.position, place), 1


def _plant(text: str, token: str, position: str, place: float) -> str:
    words = text.split(" ")
    index = {"start": 0, "end": len(words), "random": int(place * (len(words) + 1))}[position]
    return " ".join([*words[:index], token, *words[index:]])
