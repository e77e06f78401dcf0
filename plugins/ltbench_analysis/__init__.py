"""The analysis of records: the five papers' figures, neural collapse, and metrics on the geometry of a finished run."""
