"""The singular value decomposition of an update, and every way to cut it. Sees pytrees, never models."""
