"""One decoder for every family, and the way in from and out to Hugging Face directories."""
