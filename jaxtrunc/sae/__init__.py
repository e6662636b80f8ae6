"""Sparse autoencoders, and low-rank subspaces made of their features (SAILS, arXiv 2512.23260)."""
