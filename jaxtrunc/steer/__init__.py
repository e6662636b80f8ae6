"""Training without spectral interference: SIFT (arXiv 2604.04231) and its rivals."""
