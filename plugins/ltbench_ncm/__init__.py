"""Nearest class mean (Mensink et al., 2013)."""
