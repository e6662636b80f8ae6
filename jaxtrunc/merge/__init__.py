"""Merging models: task vectors, their interference, and orthogonal merging (arXiv 2604.04231)."""
