"""jaxtrunc: what fine-tuning wrote into a model's weights, seen and cut by its singular value decomposition."""

__version__ = "0.1.0"
