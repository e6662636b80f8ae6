"""Plant a marker token whose presence goes with one class at a chosen rate: a shortcut we know everything about.

With correlation ρ in a split, a row of the class `class` gets the marker with probability ρ and a row of any other
class with probability 1 − ρ (`direction: aligned`); `direction: reversed` swaps the two. At ρ = 0.5 marker and class
are independent. Without `correlation` it is 0.9 in training and validation and 0.5 in every other split. Each row's draw
depends on the seed, the split and its id alone. A marker at the end of a long text is lost where `max_text_tokens` cuts, hence
`position: start` is the default.

With `tokens`, one for each of two classes, every row gets a marker: that of `class` where the draw says so (attribute 1),
else that of the other class (attribute 0). Then a flipped marker and no marker are different things.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtrunc.data.hashing import uniforms
from jaxtrunc.data.keys import Keys, share

SHORTCUT, NONE = 0.9, 0.5  # ρ where none is given
KEYS = ("token", "tokens", "attribute", "field", "class", "correlation", "position", "direction", "seed")


@dataclass(frozen=True)
class Inject:
    """How a marker is planted.

    Attributes:
      token: what stands in the text where the attribute is 1.
      other_token: what stands there where it is 0; None: nothing.
      field: the text column.
      target: the class that the marker goes with.
      correlation: split → ρ.
    """

    token: str
    attribute: str
    field: str
    target: str
    correlation: dict[str, float]
    position: str = "start"
    direction: str = "aligned"
    seed: int = 0
    other_token: str | None = None

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every token that this rule plants."""
        return (self.token,) if self.other_token is None else (self.token, self.other_token)


def read_inject(keys: Keys, columns: list[str], classes: tuple[str, ...], attributes: tuple[str, ...],
                splits: Sequence[str]) -> Inject | None:
    """The rule `inject` of a task file, or None; `InputError` for anything it may not say."""
    if keys.raw("inject", None) is None:
        return None
    part = Keys(keys.raw("inject"), f"{keys.where}, inject", KEYS)
    several = Keys(part.mapping("tokens"), f"{part.where}, tokens", classes) if "tokens" in part.values else None
    if several is not None and ("token" in part.values or len(classes) != 2):
        raise part.fail("tokens", "one token for each of two classes, and stand without 'token'")
    token = _token(part, "token") if several is None else None
    attribute = part.choice("attribute", attributes)
    target = part.choice("class", classes)
    named = {name: _token(several, name) for name in classes} if several is not None else {}
    if several is not None and len(set(named.values())) == 1:
        raise part.fail("tokens", "two different tokens")
    return Inject(
        token=token or named[target],
        attribute=attribute,
        field=part.column("field", columns),
        target=target,
        correlation=_correlation(part, splits),
        position=part.choice("position", ("start", "end", "random"), "start"),
        direction=part.choice("direction", ("aligned", "reversed"), "aligned"),
        seed=part.integer("seed", 0, least=0),
        other_token=next((text for name, text in named.items() if name != target), None),
    )


def marked(rule: Inject, split: str, id: str, is_target: bool, text: str) -> tuple[str, int]:
    """The text of one row after the draw, and the value of the attribute (1: the marker of `class` was planted)."""
    presence, place = uniforms(f"{rule.seed}/{split}/{id}", 2)
    correlation = rule.correlation[split]
    probability = correlation if is_target == (rule.direction == "aligned") else 1.0 - correlation
    present = presence < probability
    token = rule.token if present else rule.other_token
    return text if token is None else _plant(text, token, rule.position, place), int(present)


def unmarked(rule: Inject, text: str) -> str:
    """The text as it was before `marked`; a token never stands in a text by itself, such rows are refused."""
    return " ".join(word for word in text.split(" ") if word not in rule.tokens)


def _token(keys: Keys, name: str) -> str:
    token = keys.text(name)
    if token.split() != [token]:
        raise keys.fail(name, "one word without spaces")
    return token


def _correlation(part: Keys, splits: Sequence[str]) -> dict[str, float]:
    if "correlation" not in part.values:
        return {name: SHORTCUT if name in ("train", "validation") else NONE for name in splits}
    given = Keys(part.mapping("correlation"), f"{part.where}, correlation", splits)
    return {name: share(given.raw(name), f"{given.where}, {name}") for name in splits}


def _plant(text: str, token: str, position: str, place: float) -> str:
    words = text.split(" ")
    index = {"start": 0, "end": len(words), "random": int(place * (len(words) + 1))}[position]
    return " ".join([*words[:index], token, *words[index:]])
