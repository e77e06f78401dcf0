from ltbench.testing import MethodConformance


class TestLabelAwareSmoothing(MethodConformance):
    method = "label_aware_smoothing"
