"""Layer by module maps: where in the network the update is large, and where it has few directions."""

import numpy as np

from jaxtrunc.report import canvas
from jaxtrunc.report.canvas import Plot
from jaxtrunc.report.study import Results
from jaxtrunc.report.tensors import Spectrum, by_module

COLUMNS = ("layer", "module", "value")
MOST_NUMBERED = 60  # cells; more numbers than this cannot be read


def draw(results: Results) -> list[Plot]:
    """Relative norm (absolute where the relative one is unknown) and stable rank of ΔW per layer and module."""
    layered = {name: [s for s in spectra if s.layer is not None] for name, spectra in by_module(results).items()}
    relative = any(s.relative_norm is not None for spectra in layered.values() for s in spectra)
    norm = "‖ΔW‖ / ‖W‖ (Frobenius, %)" if relative else "‖ΔW‖ (Frobenius)"
    plots = (
        _map(layered, "update_norm", f"Size of the update: {norm}", lambda s: s.size(relative)),
        _map(layered, "stable_rank", "Stable rank of the update: Σs² / s₁²", lambda s: s.stable_rank),
    )
    return [plot for plot in plots if plot]


def _map(layered: dict[str, list[Spectrum]], name: str, title: str, read) -> Plot | None:
    cells = {(s.layer, module): read(s) for module, spectra in layered.items() for s in spectra}
    known = {cell: value for cell, value in cells.items() if value is not None}
    if not known:
        return None
    modules = [module for module in layered if any(cell[1] == module for cell in known)]
    layers = sorted({layer for layer, _ in known if layer is not None})
    table = np.array([[known.get((layer, module), np.nan) for module in modules] for layer in layers])
    figure = canvas.new_figure(min(1.5 + 0.28 * len(layers), 9.0))
    draw_table(figure, table, layers, modules)
    rows = [(layer, module, value) for (layer, module), value in sorted(known.items())]
    return Plot(name, title, "Blank: not decomposed.", figure, COLUMNS, rows)


def draw_table(figure, table: np.ndarray, layers: list[int], modules: list[str]) -> None:
    """One map on a figure or a part of one; NaN is left blank."""
    axes = figure.subplots()
    mesh = axes.pcolormesh(np.ma.masked_invalid(table), cmap="cividis", vmin=0)
    figure.colorbar(mesh, ax=axes, pad=0.02)
    axes.grid(False)
    axes.invert_yaxis()
    step = -(-len(layers) // 24)
    axes.set_yticks(np.arange(0, len(layers), step) + 0.5, layers[::step])
    axes.set_xticks(np.arange(len(modules)) + 0.5, modules, rotation=35, ha="right", fontsize=9)
    axes.set_ylabel("layer")
    if table.size <= MOST_NUMBERED:
        _write_numbers(axes, table)


def _write_numbers(axes, table: np.ndarray) -> None:
    bright = np.nanmax(table) * 0.55
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            axes.text(column + 0.5, row + 0.5, f"{value:.3g}", ha="center", va="center", fontsize=8,
                      color="black" if value > bright else "white")
