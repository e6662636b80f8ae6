"""The embedded tiny base model and the text generator that made it."""
