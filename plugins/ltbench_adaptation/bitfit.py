"""BitFit: bias terms alone (Ben Zaken et al., 2022, section 3)."""

from __future__ import annotations

from torch import nn

import ltbench
from ltbench_adaptation.blocks import frozen


class BitFit(ltbench.Method):
    """Train every bias of a transformer, those of its norms included, and the classifier; all weights stay."""

    name = "bitfit"
    stages = frozenset({1})

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        """Return the backbone, of which biases have gradients."""
        full = frozen(make, self.name)
        make.transformer()  # refuses other backbones
        biases = [parameter for name, parameter in full.named_parameters() if name.endswith("bias")]
        if not biases:
            raise ltbench.UserError(f"{self.name!r} needs a backbone with biases, got none")
        for bias in biases:
            bias.requires_grad_(True)
        return full
