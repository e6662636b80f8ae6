"""Four small worlds in which one aim can be had at the cost of another: models, data and measures without any download."""
