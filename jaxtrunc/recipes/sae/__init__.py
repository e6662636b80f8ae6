"""What the verbs `jaxtrunc sae …` do."""
