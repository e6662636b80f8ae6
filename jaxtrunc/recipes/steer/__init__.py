"""`jaxtrunc steer`: train a model for one objective under another, by SIFT or by one of its rivals."""
