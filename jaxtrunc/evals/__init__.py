"""Scores, group metrics with intervals, the sweep, the choice of k and the verdict."""
