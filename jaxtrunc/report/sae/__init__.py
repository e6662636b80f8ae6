"""The page of subspaces and adapters; everything here sees the dict of results.json and nothing else."""

from jaxtrunc.report.sae.page import print_sae_table, write_sae_report

__all__ = ["print_sae_table", "write_sae_report"]
