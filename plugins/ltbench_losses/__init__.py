"""Losses that shift, scale or cloud logits, weigh samples or leave out gradients, and one with residual heads."""
