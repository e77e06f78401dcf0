"""Other sets from the files of CIFAR-10 and CIFAR-100: the balanced ones, and the 20 superclasses."""

from __future__ import annotations

from ltbench.data.cifar import Cifar10LT, Cifar100LT
from ltbench.data.published import Published


class Cifar10(Cifar10LT):
    """CIFAR-10 as it is."""

    name = "cifar10"


class Cifar100(Cifar100LT):
    """CIFAR-100 as it is."""

    name = "cifar100"


class Cifar20LT(Cifar100LT):
    """CIFAR-100 by its 20 superclasses: 2,500 training and 500 test images each.

    The construction is CIFAR-10-LT's over 20 classes, in the order of the coarse labels, which is alphabetical.
    """

    name = "cifar20-lt"
    class_names = tuple((
        "aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture "
        "insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores "
        "medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2"
    ).split())
    max_per_class = 2500
    label_key = "coarse_labels"
    published = Published.even(20, train=2500, test=500)
