"""Datasets, the long-tailed construction, samplers and batches. Empty on purpose: listing datasets imports no torch."""
