"""Layer by module maps: where in the network the update is large, and where it has few directions."""

import numpy as np

from jaxtrunc.report import canvas
from jaxtrunc.report.canvas import Plot
from jaxtrunc.report.study import Results
from jaxtrunc.report.tensors import Spectrum, by_module

COLUMNS = ("layer", "module", "value")
MOST_NUMBERED = 60  # cells; more numbers than this cannot be read
DIGIT, LINE = 0.075, 0.16  # inches that a character of a number takes, and its height
AROUND = (1.3, 1.0)  # inches beside and under a map: its labels and its scale


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


def draw_table(figure, table: np.ndarray, layers: list[int], modules: list[str], top: float | None = None) -> None:
    """One map on a figure or a part of one, coloured up to `top` (its largest value); NaN is left blank."""
    axes = figure.subplots()
    mesh = axes.pcolormesh(np.ma.masked_invalid(table), cmap="cividis", vmin=0, vmax=top)
    figure.colorbar(mesh, ax=axes, pad=0.02)
    axes.grid(False)
    axes.invert_yaxis()
    step = -(-len(layers) // 24)
    axes.set_yticks(np.arange(0, len(layers), step) + 0.5, layers[::step])
    axes.set_xticks(np.arange(len(modules)) + 0.5, modules, rotation=35, ha="right", fontsize=9)
    axes.set_ylabel("layer")
    if table.size <= MOST_NUMBERED and np.isfinite(table).any():
        _write_numbers(figure, axes, table, 0.55 * (top or np.nanmax(table)))


def _write_numbers(figure, axes, table: np.ndarray, bright: float) -> None:
    """The values with three digits, with two, or none: as many as fit into the cells."""
    for digits in (3, 2):
        texts = {cell: f"{value:.{digits}g}" for cell, value in np.ndenumerate(table) if np.isfinite(value)}
        if _fit(figure, table.shape, max(map(len, texts.values()))):
            for (row, column), text in texts.items():
                axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8,
                          color="black" if table[row, column] > bright else "white")
            return


def _fit(figure, shape: tuple[int, ...], characters: int) -> bool:
    """Whether numbers of that length keep apart in the cells of a table on a figure of this size."""
    width, height = (side - taken for side, taken in zip(figure.bbox.size / figure.dpi, AROUND, strict=True))
    return width / shape[1] >= DIGIT * characters and height / shape[0] >= LINE
