"""The directions of the head: their numbers, and the tokens at both ends."""

from dataclasses import dataclass

from jaxtrunc.report.lens.cells import Cell, Facts, Table, Token, figures, share, tokens

COHERENT = 3.0  # z of the VCS from which a pole is printed in bold; the same bound as for a `new` pole of a comparison
FIRST = 6  # tokens of a pole that are seen before the direction is opened
FLAGS = {"sign_undetermined": "sign undetermined", "degenerate": "nearly degenerate"}


@dataclass(frozen=True)
class Pole:
    """One end of a direction.

    Attributes:
      tokens: best first, each with its logit.
      scores: name and value in words.
    """

    sign: str
    tokens: tuple[Token, ...]
    vcs: str
    z: str
    coherent: bool
    scores: list[tuple[str, str]]


@dataclass(frozen=True)
class Direction:
    """One direction in words."""

    index: int
    sigma: str
    energy: str
    flags: str
    poles: tuple[Pole, ...]


def directions(listed: list[Facts], spectrum: Facts) -> list[Direction]:
    """All directions; their share of the energy comes from the spectrum they are part of."""
    total = sum(sigma**2 for sigma in spectrum["sigma"]) or 1.0
    return [Direction(entry["index"], figures(entry["sigma"], 4), share(entry["sigma"] ** 2 / total), _flags(entry),
                      tuple(_pole(sign, entry["poles"][sign]) for sign in "+-")) for entry in listed]


def as_table(listed: list[Direction]) -> Table:
    """Two rows a direction, one a pole."""
    rows: list[tuple[Cell, ...]] = []
    for direction in listed:
        for pole in direction.poles:
            first = pole.sign == "+"
            rows.append((f"{direction.index} {pole.sign}", direction.sigma if first else "", direction.energy if first else "",
                         pole.vcs, pole.z, pole.tokens, direction.flags if first else ""))
    return Table(("direction", "σ", "energy", "VCS", "z", "tokens, best first", "flags"), rows)


def coherent_poles(listed: list[Facts]) -> int:
    """How many poles hang together more than chance would have it."""
    return sum(_coherent(pole) for entry in listed for pole in entry["poles"].values())


def _coherent(pole: Facts) -> bool:
    return pole["vcs_z"] is not None and pole["vcs_z"] > COHERENT


def _flags(entry: Facts) -> str:
    said = [FLAGS[flag] for flag in entry["flags"]]
    return ", ".join([*said, f"block {entry['block']}"] if entry["block"] is not None else said)


def _pole(sign: str, pole: Facts) -> Pole:
    shown = tokens(pole["ids"], pole["tokens"], [figures(value) for value in pole["projections"]], pole["categories"])
    scripts = ", ".join(f"{name} {number}" for name, number in (pole["scripts"] or {}).items())
    null = f"{figures(pole['vcs_null_mean'])} ± {figures(pole['vcs_null_sd'])}"
    scores = [("VCS", figures(pole["vcs"])), ("by chance", null), ("z", figures(pole["vcs_z"])),
              ("VCS, centred", figures(pole["vcs_centred"])), ("exact duplicates", str(pole["n_duplicates"]))]
    if scripts:
        scores += [("scripts", scripts), ("entropy of scripts", figures(pole["script_entropy"]))]
    return Pole(sign.replace("-", "−"), shown, figures(pole["vcs"]), figures(pole["vcs_z"]), _coherent(pole), scores)
