"""Whether images that are tested on, or chosen by, stand in another part too: an image that is trained on must not be among them.

Sets that their authors published are compared by names and folders alone before a run: they are as they are, and ``ltbench data
check`` compares the contents of a million files once. What nobody published is compared by content as well.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ltbench.data.base import Dataset
from ltbench.data.copies import first_copies
from ltbench.data.encoded import EncodedImages
from ltbench.data.inspection.contents import digests
from ltbench.data.parts import ImageSource, Parts, TensorImages
from ltbench.data.paths import Paths
from ltbench.data.same_file import folders_of, keys_of
from ltbench.errors import UserError


def refuse_shared(dataset: Dataset, parts: Parts, *, planning: bool = False) -> None:
    """Refuse a set whose test part repeats images of another part; of one that others published so, say it.

    Args:
        planning: Whether no image will be opened: names alone are compared.

    Raises:
        UserError: If one does, naming the first.
    """
    own = dataset.published is None
    for role, part in (("training", parts.train), ("validation", parts.val if own else None)):
        if part is not None:
            _refuse(dataset, (role, part), ("test", parts.test), contents=own and not planning)


def refuse_trained(dataset: Dataset, parts: Parts, *, planning: bool = False) -> None:
    """Refuse a set whose own validation part repeats training images; of one that others published so, say it.

    For tunings and runs that look at it: others may have a set whose validation part is a part of what is trained on.

    Args:
        planning: Whether no image will be opened: names alone are compared.

    Raises:
        UserError: If it does, naming the first.
    """
    if parts.val is not None:
        contents = dataset.published is None and not planning
        _refuse(dataset, ("training", parts.train), ("validation", parts.val), contents=contents)


def _refuse(dataset: Dataset, known: tuple[str, ImageSource], judge: tuple[str, ImageSource], *, contents: bool) -> None:
    """Compare two parts, each with what it is called."""
    (role, part), (name, judging) = known, judge
    found = list(_shared(part, judging, contents=contents))
    if found:
        example, also = found[0]
        told = (f"{len(found):,} of the {len(judging.labels):,} {name} images are in both, the first {example} (as {also}); "
                "'ltbench data check' names them all")
        if not dataset.official:
            judged = "tested" if name == "test" else "validated"
            raise UserError(f"{dataset.name} must not be {judged} on images of its {role} part: {told}")
        print(f"warning: {dataset.name} was published with images in its {name} part and its {role} part: {told}",
              file=sys.stderr)


def _shared(part: ImageSource, test: ImageSource, *, contents: bool) -> Iterator[tuple[str, str]]:
    """Yield the images of ``test`` that a part repeats, each with what it is there."""
    if isinstance(part, EncodedImages) and isinstance(test, EncodedImages):
        twins = _by_name(part.paths, test.paths)
        if contents:
            start = len(part.paths)
            originals = first_copies([part, test], between=True)[start:]
            twins |= {index: twin for index, twin in enumerate(originals.tolist()) if twin < start and index not in twins}
        yield from ((repr(test.paths[index]), repr(part.paths[twin])) for index, twin in sorted(twins.items()))
    elif contents and isinstance(part, TensorImages) and isinstance(test, TensorImages):
        found = digests({"part": part, "test": test}, {}, 1, full=True)
        known = dict(zip(found["part"].values.tolist(), found["part"].indices.tolist(), strict=True))
        yield from ((f"image {index}", f"image {known[value]}")
                    for index, value in enumerate(found["test"].values.tolist()) if value in known)


def _by_name(part: Paths, test: Paths) -> dict[int, int]:
    """Return the files of a test part that another part names too, with their places there; a link to a folder is that folder."""
    folders, tested = folders_of(part), folders_of(test)
    if not set(folders.values()) & set(tested.values()):  # the usual case, without a look at a million names
        return {}
    wanted = {key: index for index, key in enumerate(keys_of(test, tested))}
    found: dict[int, int] = {}
    for place, key in enumerate(keys_of(part, folders)):
        if key in wanted:
            found.setdefault(wanted[key], place)
    return found
