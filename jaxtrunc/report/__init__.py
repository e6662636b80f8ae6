"""Tables, plots and one self-contained page; everything here sees the dict of results.json and nothing else."""

from jaxtrunc.report.page import write_report
from jaxtrunc.report.table import print_table

__all__ = ["print_table", "write_report"]
