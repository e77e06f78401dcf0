"""The datasets and augmentations that come with ltbench, named without importing torch."""

from __future__ import annotations

from ltbench.registry.hookspecs import hookimpl
from ltbench.registry.specs import PROTOCOLS, AugmentationSpec, DatasetSpec

_TUNED = (*PROTOCOLS, "tuned")
_CIFAR100 = "10 of the 10,000 test images of CIFAR-100 stand among its 50,000 training images too"
_CIFAR100_FINE = f"{_CIFAR100}, 6 of them under another class"


@hookimpl
def ltbench_datasets() -> list[DatasetSpec]:
    """Return the handwritten digits, the small sets that torchvision downloads, the large ones of files, and a user's own."""
    return [
        DatasetSpec("digits-lt", "ltbench.data.digits:DigitsLT", "handwritten digits, 8 x 8, part of scikit-learn", 10,
                    default_ratio=20.0, source="embedded"),
        _small("cifar10-lt", "cifar:Cifar10LT", "CIFAR-10, 32 x 32", 10),
        _small("cifar100-lt", "cifar:Cifar100LT", "CIFAR-100, 32 x 32", 100, remark=_CIFAR100_FINE),
        _small("cifar20-lt", "cifar_variants:Cifar20LT", "CIFAR-100 by its 20 superclasses, 32 x 32", 20, remark=_CIFAR100),
        _small("cifar10", "cifar_variants:Cifar10", "CIFAR-10, balanced", 10, ratio=1.0),
        _small("cifar100", "cifar_variants:Cifar100", "CIFAR-100, balanced", 100, ratio=1.0, remark=_CIFAR100_FINE),
        _small("svhn-lt", "svhn:SvhnLT", "street view house numbers, 32 x 32", 10),
        _small("stl10-lt", "stl10:Stl10LT", "STL-10, 96 x 96", 10, protocols=PROTOCOLS),
        _files("imagenet-lt", "imagenet_lt:ImageNetLT", "ImageNet-LT: 115,846 images, 1,280 to 5 a class", 1000),
        _files("inat18", "inat18:INat18", "iNaturalist 2018: 437,513 images, 1,000 to 2 a class", 8142),
        _files("places-lt", "places_lt:PlacesLT", "Places-LT: 62,500 images, 4,980 to 5 a class", 365, protocols=_TUNED),
        _files("imagenet1k", "imagenet:ImageNet1k", "ImageNet as it is: 1,281,167 images", 1000),
        _files("imagenet200", "imagenet:ImageNet200", "Tiny ImageNet, 64 x 64, balanced", 200, ratio=1.0),
        _family("folder:", "class_folders:open_folder", "your own images in class folders: folder:PATH"),
        _family("list:", "own_lists:open_list", "your own images by a list of 'path label' lines: list:FILE"),
        _family("tar:", "own_tars:open_tar", "your own images in tar files, WebDataset's or of class folders: tar:PATTERN",
                ".tar", patterns=True),
        _family("csv:", "own_tables:open_csv", "your own images by a table (path, label, split, group): csv:FILE",
                ".csv", ".tsv"),
        _family("parquet:", "own_tables:open_parquet", "the same as a Parquet file: parquet:FILE (needs pyarrow)", ".parquet"),
        _family("hf:", "own_hub:open_hub", "Hugging Face datasets: hf:OWNER/NAME of the hub, or hf:PATH (needs datasets)",
                source="download"),
        _family("tv:", "own_torchvision:open_torchvision", "torchvision's classification sets: tv:Food101, tv:EuroSAT, ...",
                source="download"),
    ]


@hookimpl
def ltbench_augmentations() -> list[AugmentationSpec]:
    """Return what papers on long-tailed recognition use, and the door to torchvision's."""
    return [
        _augmentation("crop", "augment:Crop", "zeros around the image, and the old size cut out elsewhere"),
        _augmentation("random_resized_crop", "resized_crop:RandomResizedCrop", "a window of random area and shape; stands first"),
        _augmentation("flip", "augment:Flip", "half of the images mirrored left to right"),
        _augmentation("rotation", "augment:Rotation", "a turn by up to 15 degrees"),
        _augmentation("jitter", "jitter:Jitter", "random brightness, contrast, saturation and hue"),
        _augmentation("grayscale", "colors:Grayscale", "some images made gray"),
        _augmentation("gaussian_blur", "colors:GaussianBlur", "some images blurred by a random width"),
        _augmentation("solarize", "colors:Solarize", "the bright pixels of some images inverted"),
        _augmentation("autoaugment", "autoaugment:AutoAugment", "AutoAugment's policy for CIFAR-10"),
        _augmentation("randaugment", "randaugment:RandAugment", "a few random operations at one magnitude"),
        _augmentation("cutout", "augment:Cutout", "a square erased; stands last"),
        _augmentation("torchvision:", "torchvision_transform:TorchvisionTransform",
                      "torchvision.transforms.v2, one image at a time: torchvision:RandomPerspective(p=1)"),
        AugmentationSpec("simclr", summary="the view of contrastive learning (Chen et al., 2020), without blur", parts=(
            "random_resized_crop(smallest=0.2)", "flip", "jitter(hue=0.1,p=0.8)", "grayscale(p=0.2)")),
    ]


def _augmentation(name: str, target: str, summary: str) -> AugmentationSpec:
    return AugmentationSpec(name, f"ltbench.data.{target}", summary)


def _small(name: str, target: str, summary: str, num_classes: int, ratio: float = 100.0, remark: str = "",
           protocols: tuple[str, ...] = _TUNED) -> DatasetSpec:
    return DatasetSpec(name, f"ltbench.data.{target}", summary, num_classes, default_ratio=ratio, source="download",
                       remark=remark, protocols=protocols)


def _files(name: str, target: str, summary: str, num_classes: int | None, ratio: float | None = None,
           protocols: tuple[str, ...] = PROTOCOLS) -> DatasetSpec:
    return DatasetSpec(name, f"ltbench.data.{target}", summary, num_classes, default_ratio=ratio, protocols=protocols)


def _family(name: str, target: str, summary: str, *endings: str, source: str = "local",
            patterns: bool = False) -> DatasetSpec:
    return DatasetSpec(name, f"ltbench.data.{target}", summary, None, source=source, protocols=_TUNED, endings=endings,
                       patterns=patterns)
