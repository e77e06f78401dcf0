"""Several experts on one task: what each learns by itself, and what they learn from each other."""
