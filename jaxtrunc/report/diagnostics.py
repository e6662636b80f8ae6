"""The rest of what describes a spectrum of the update: medians by module type and by layer, beside the table of modules."""

from jaxtrunc.report import wording
from jaxtrunc.report.study import Results
from jaxtrunc.report.tables import SPECTRUM, Table, noise_like
from jaxtrunc.report.tensors import Spectrum, by_layer, by_module, summary

# Number, column, factor and digits; the edges are in per cent of the largest singular value.
REST = (("effective_rank_energy", "effective rank of energy", 1, 1), ("participation_ratio", "participation ratio", 1, 1),
        ("tail_slope", "tail slope", 1, 2), ("mp_edge", "mp_edge (% of s₁)", 100, 1), ("dg_hard", "dg_hard (% of s₁)", 100, 1),
        ("signflip_edge", "signflip_edge (% of s₁)", 100, 1), ("spikes", "spikes", 1, 0),
        ("bulk_energy", "bulk energy (%)", 100, 1), ("intruders", "intruders", 1, 0), ("below_bf16", "below bf16 (%)", 100, 1))


def diagnostics(results: Results) -> list[Table]:
    """What the table of modules leaves out by module type; that table and the rest by layer. Nothing without spectra."""
    layers = by_layer(results)
    parts = (("module", by_module(results), REST), ("layer", layers, SPECTRUM), ("layer", layers, REST))
    return [_table(name, groups, columns) for name, groups, columns in parts if groups]


def _table(name: str, groups: dict[str, list[Spectrum]], columns: tuple[tuple[str, str, float, int], ...]) -> Table:
    known = [column for column in columns if any(summary(group, column[0]) for group in groups.values())]
    rows = [(title, str(len(group)), *(_median(group, key, by, digits) for key, _, by, digits in known), noise_like(group))
            for title, group in groups.items()]
    return Table((name, "matrices", *(title for _, title, _, _ in known), "noise edge valid"), rows)


def _median(group: list[Spectrum], key: str, by: float, digits: int) -> str:
    found = summary(group, key)
    return wording.NONE if found is None else wording.number(by * found[0], digits)
