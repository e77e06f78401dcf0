"""The backbones that come with ltbench, named without importing torch."""

from __future__ import annotations

from ltbench.registry.hookspecs import hookimpl
from ltbench.registry.specs import BackboneSpec

CIFAR_DEPTHS = (20, 32, 44, 56)
# Widths found in published "ResNet-32" results: 16 channels in the first stage (d = 64), 32 (d = 128) and 64 (d = 256).
CIFAR_WIDTHS = (1, 2, 4)


@hookimpl
def ltbench_backbones() -> list[BackboneSpec]:
    """Return the CIFAR ResNets by depth and width, the other ResNets, the digits network and the timm family."""
    specs = [
        BackboneSpec("digits", "ltbench.backbones.digits:build", "three convolutions for 8 x 8 digits, 64 features"),
        BackboneSpec("timm:", "ltbench.backbones.timm_family:build", "any timm model, randomly initialized: timm:resnet50"),
        BackboneSpec("resnet10", "ltbench.backbones.basic_resnet:build", "ResNet-10 for large images, 512 features"),
        BackboneSpec("resnet18cifar", "ltbench.backbones.basic_resnet:build", "ResNet-18 for 32 x 32 images, 512 features"),
        BackboneSpec("resnet34cifar", "ltbench.backbones.basic_resnet:build", "ResNet-34 for 32 x 32 images, 512 features"),
    ]
    specs.append(BackboneSpec("resnet32conv", "ltbench.backbones.conv_shortcuts:build",
                              "ResNet-32 for 32 x 32 images with 3 x 3 convolutions as shortcuts, 64 features"))
    specs.append(BackboneSpec("resnet32twin", "ltbench.backbones.cifar_resnet:build",
                              "ResNet-32 whose last block stands twice in parallel (BBN's), 128 features"))
    for depth in CIFAR_DEPTHS:
        for width in CIFAR_WIDTHS:
            name = f"resnet{depth}" + (f"x{width}" if width > 1 else "")
            summary = f"ResNet-{depth} for 32 x 32 images, {64 * width} features"
            specs.append(BackboneSpec(name, "ltbench.backbones.cifar_resnet:build", summary))
    return specs
