"""The verbs; thin: parse, call a recipe, exit code."""


def main() -> None:
    """Entry point (being written)."""
