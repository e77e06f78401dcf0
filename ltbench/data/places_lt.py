"""places-lt (Liu et al., 2019): 62,500 images of Places-365's training part by a fixed list.

Most published figures start from a ResNet-152 trained on ImageNet, as the tuned protocol does; the common one starts from
nothing. The authors' public code tunes it for 30 epochs in batches of 128, with a rate of 0.001 in the backbone and 0.1 in the
classifier, a tenth of both after every ten epochs, and weight decay 5e-4. Here a rate between the two, 0.01, falls by a cosine.
"""

from __future__ import annotations

from dataclasses import replace

from ltbench.data import imagenet_lt
from ltbench.data.listed import IMAGENET_MEAN, IMAGENET_STD, LARGE, ListedDataset
from ltbench.data.published import Published, Totals
from ltbench.terms.protocol import COMMON, TUNED, Protocol

PROTOCOLS = {
    **imagenet_lt.PROTOCOLS,
    COMMON: replace(imagenet_lt.PROTOCOLS[COMMON], backbone="timm:resnet50"),
    TUNED: Protocol(TUNED, "timm:resnet152.tv_in1k", epochs=30, batch_size=128, lr=0.01, weight_decay=5e-4, warmup=0.0,
                    augmentation=imagenet_lt.PROTOCOLS[COMMON].augmentation, stage2_batch_size=256),
}


class PlacesLT(ListedDataset):
    """Read ``Places_LT_train.txt`` and ``Places_LT_test.txt``, and Places-365's own folders ``train`` and ``val``.

    The published class counts are made up to the totals of the list: planning needs no more, and a list brings its own.
    """

    name = "places-lt"
    class_names = tuple(f"place {k}" for k in range(365))
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    image_size = LARGE
    protocols = PROTOCOLS
    published = Published.natural(Totals(62_500, 4980, 5, many=131, medium=163, few=71), test=100, val=20,
                                  train_digest="e0663b33a6ba642086ead631231389a5616cc7dc5fc0eb6942ca49c619454e5a")
    folders = ("places-lt", "places_lt", "Places_LT", "Places-LT", "places365", "Places365", "places")
    origin = "places2.csail.mit.edu, with the lists of the authors of Places-LT"
    train_lists = ("Places_LT_train.txt",)
    val_lists = ("Places_LT_val.txt",)
    test_lists = ("Places_LT_test.txt",)
    steps = (
        "Accept the terms at places2.csail.mit.edu and download the small (256 x 256) images of Places365-Standard with the easy "
        "directory structure (places365standard_easyformat.tar).",
        "Unpack it so that DATA/places365/train/<class>/ and DATA/places365/val/<class>/ hold the images, where <class> is a "
        "name like airfield.",
        "Download the lists Places_LT_train.txt, Places_LT_val.txt and Places_LT_test.txt of the authors of Places-LT "
        "(github.com/zhmiao/OpenLongTailRecognition-OLTR names where they are) to DATA/places-lt/.",
    )
