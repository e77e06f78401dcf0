"""imagenet-lt (Liu et al., 2019): 115,846 images of ImageNet's training part by a fixed list, tested on its validation part."""

from __future__ import annotations

from ltbench.data.listed import IMAGENET_MEAN, IMAGENET_STD, LARGE, WINDOWS, ListedDataset
from ltbench.data.published import Published, Totals
from ltbench.terms.protocol import COMMON, Protocol

_AUGMENTATION = (*WINDOWS, "jitter")

PROTOCOLS = {
    "smoke": Protocol("smoke", "resnet10", epochs=2, batch_size=64, augmentation=_AUGMENTATION, stage2_draws=1.0,
                      stage2_batch_size=64, per_class=1),
    "quick": Protocol("quick", "resnet10", epochs=16, batch_size=256, lr=0.2, schedule="one_cycle", warmup=0.25,
                      augmentation=_AUGMENTATION, stage2_batch_size=256),
    COMMON: Protocol(COMMON, "timm:resnext50_32x4d", epochs=90, batch_size=256, lr=0.1, weight_decay=5e-4, warmup=0.0,
                     augmentation=_AUGMENTATION, stage2_batch_size=256),
}


class ImageNetLT(ListedDataset):
    """Read ``ImageNet_LT_train.txt`` and ``ImageNet_LT_test.txt``, and ImageNet's own folders ``train`` and ``val``.

    The published class counts are made up to the totals of the paper: planning needs no more, and a list brings its own.
    """

    name = "imagenet-lt"
    class_names = tuple(f"class {k}" for k in range(1000))
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    image_size = LARGE
    protocols = PROTOCOLS
    published = Published.natural(Totals(115_846, 1280, 5, many=385, medium=479, few=136), test=50, val=20,
                                  train_digest="3d8c615a8d2def22940b8c4989aa1d6454f42e93dde096f077b0dde67cd4dc08")
    folders = ("imagenet-lt", "imagenet_lt", "ImageNet_LT", "ImageNet-LT", "imagenet", "ImageNet", "ILSVRC2012")
    origin = "image-net.org, with the lists of the authors of ImageNet-LT"
    train_lists = ("ImageNet_LT_train.txt",)
    val_lists = ("ImageNet_LT_val.txt",)
    test_lists = ("ImageNet_LT_test.txt",)
    shift_lists = "ImageNet_LT_{shift}.txt"
    steps = (
        "Sign up at image-net.org, accept the terms of access, and download the training images (ILSVRC2012_img_train.tar) "
        "and the validation images (ILSVRC2012_img_val.tar).",
        "Unpack them to DATA/imagenet/train/<class>/ and DATA/imagenet/val/<class>/, where <class> is a name like n01440764; the "
        "validation images come in one folder and are sorted by the usual script (valprep.sh).",
        "Download the lists ImageNet_LT_train.txt, ImageNet_LT_val.txt and ImageNet_LT_test.txt of the authors of ImageNet-LT "
        "(github.com/zhmiao/OpenLongTailRecognition-OLTR names where they are) to DATA/imagenet-lt/.",
    )
