"""Interpolative centroid contrastive learning (Tiong et al., 2023)."""
