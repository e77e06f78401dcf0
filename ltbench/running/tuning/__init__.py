"""Tuning: hyperparameters chosen on a validation part, with the same number of trials for every expression."""
