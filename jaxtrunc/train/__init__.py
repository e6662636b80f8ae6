"""Fine-tuning and pre-training in Optax, with exact resume."""
