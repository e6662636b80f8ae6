"""One file per kind of plot; each returns `Plot`s, or none where the results hold nothing to draw."""

from jaxtrunc.report.canvas import Plot, style
from jaxtrunc.report.plots import curves, decoupling, heat, plane, spectra
from jaxtrunc.report.study import Results


def draw(results: Results) -> dict[str, list[Plot]]:
    """All plots of a run, by section of the page."""
    with style():
        return {
            "curves": curves.draw(results),
            "plane": plane.draw(results),
            "decoupling": decoupling.draw(results),
            "spectra": spectra.draw(results),
            "heat": heat.draw(results),
        }
