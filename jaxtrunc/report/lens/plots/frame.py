"""What the plots of a lens share."""

from typing import Any

from jaxtrunc.report.canvas import Plot

FIRST, SECOND = "#1478b8", "#cf5a00"  # the head, and the one it is compared with


def plot(name: str, title: str, caption: str, figure: Any) -> Plot:
    """A plot of the page; its numbers are in lens.json, so no file of them stands beside it."""
    return Plot(name, title, caption, figure, (), [])
