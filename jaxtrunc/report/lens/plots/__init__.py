"""One file per kind of plot of a lens; each returns `Plot`s, or none where there is nothing to draw."""

from jaxtrunc.report.canvas import Plot, style
from jaxtrunc.report.lens.cells import Facts
from jaxtrunc.report.lens.plots import coherence, compared, rows, scatter, spectrum


def draw(facts: Facts) -> dict[str, list[Plot]]:
    """All plots, by the sections of the page."""
    with style():
        return {"spectrum": spectrum.draw(facts), "coherence": coherence.draw(facts), "rows": rows.draw(facts),
                "scatter": scatter.draw(facts), "compared": compared.draw(facts)}
