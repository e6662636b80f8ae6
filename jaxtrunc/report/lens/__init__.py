"""The page of a vocabulary lens; everything here sees the dict of lens.json and nothing else."""

from jaxtrunc.report.lens.page import write_lens_page

__all__ = ["write_lens_page"]
