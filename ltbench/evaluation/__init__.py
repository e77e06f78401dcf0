"""Evaluation: predictions, and every figure that follows from them."""
