"""One small file per family: Hugging Face config to ours, and one invertible key table."""
