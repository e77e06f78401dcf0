"""Nearest class means, empirical and learned (Mensink et al., 2013; the Learned NCM paper)."""
