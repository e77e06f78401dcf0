"""Neural-collapse regularizers (Liu et al., 2023)."""
