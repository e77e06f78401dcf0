"""inat18: iNaturalist 2018 (Van Horn et al., 2018), 437,513 images of 8,142 species, tested on the validation part."""

from __future__ import annotations

from ltbench.data.listed import LARGE, WINDOWS, ListedDataset
from ltbench.data.published import Published, Totals
from ltbench.terms.protocol import COMMON, Protocol

PROTOCOLS = {
    "smoke": Protocol("smoke", "resnet10", epochs=2, batch_size=64, augmentation=WINDOWS, stage2_draws=1.0, stage2_batch_size=64,
                      per_class=1),
    "quick": Protocol("quick", "resnet10", epochs=8, batch_size=512, lr=0.4, weight_decay=1e-4, schedule="one_cycle", warmup=0.25,
                      augmentation=WINDOWS, stage2_batch_size=512, stage2_lr=0.2, stage2_weight_decay=1e-4),
    COMMON: Protocol(COMMON, "timm:resnet50", epochs=90, batch_size=512, lr=0.2, weight_decay=1e-4, warmup=0.0,
                     augmentation=WINDOWS, stage2_batch_size=512, stage2_lr=0.2, stage2_weight_decay=1e-4),
}


class INat18(ListedDataset):
    """Read lists of "path label" lines or the challenge's JSON, and the folder ``train_val2018``.

    The published class counts are made up to the known totals: planning needs no more, and a list brings its own.
    """

    name = "inat18"
    class_names = tuple(f"species {k}" for k in range(8142))
    mean = (0.466, 0.471, 0.380)
    std = (0.195, 0.194, 0.192)
    image_size = LARGE
    protocols = PROTOCOLS
    published = Published.natural(Totals(437_513, 1000, 2, many=842, medium=4076, few=3224), test=3)
    folders = ("inat18", "iNat18", "iNaturalist18", "inaturalist18", "iNaturalist2018", "inaturalist2018", "inat2018")
    origin = "the iNaturalist 2018 challenge (github.com/visipedia/inat_comp)"
    train_lists = ("iNaturalist18_train.txt", "train2018.json")
    test_lists = ("iNaturalist18_val.txt", "val2018.json")
    shift_lists = "iNaturalist18_{shift}.txt"
    shift_ratios = (2, 3)  # three test images a class leave no room for more
    steps = (
        "Accept the terms of use at github.com/visipedia/inat_comp (folder 2018) and download the images "
        "(train_val2018.tar.gz) and the annotations (train2018.json.tar.gz, val2018.json.tar.gz).",
        "Unpack the images so that DATA/inat18/train_val2018/<group>/<species>/ holds them, <group> being a name like Aves.",
        "Unpack train2018.json and val2018.json to DATA/inat18/. The lists iNaturalist18_train.txt and iNaturalist18_val.txt "
        "that published code uses do as well, and come first where both are there.",
    )
