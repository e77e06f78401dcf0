"""Baselines of long-tailed recognition: losses, weights, samplers, mixing, and classifiers retrained on a frozen backbone."""
