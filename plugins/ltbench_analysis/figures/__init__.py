"""The figures, one module for each paper; a builder takes runs and returns a drawing."""
