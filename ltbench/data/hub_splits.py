"""Which splits of a Hugging Face set are trained and tested on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ltbench.data.part_folders import role_of
from ltbench.errors import UserError

_ROLES = ("train", "test", "val")


def chosen_splits(name: str, splits: Mapping[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
    """Return splits by their roles, which options or their names tell; those that are not read are named on stderr.

    Args:
        name: Of the set.
        options: As typed: which split has a role.

    Raises:
        UserError: If a split is not there, two could be meant, one is meant twice, or none is trained on.
    """
    asked = {role: options[role] for role in _ROLES if role in options}
    found: dict[str, str] = {}
    for role in _ROLES:
        if role in asked and asked[role] not in splits:
            raise UserError(f"{name} must have the split {asked[role]!r}, got {', '.join(splits)}")
        named = [asked[role]] if role in asked else [split for split in splits
                                                     if role_of(split) == role and split not in asked.values()]
        if len(named) > 1:
            raise UserError(f"{name} must have one split of the {role} part, or say which: hf:...({role}=SPLIT), got "
                            f"{' and '.join(map(repr, named))}")
        if named:
            found[role] = named[0]
    if len(set(found.values())) < len(found):
        raise UserError(f"{name} must have a split of its own for each part, got "
                        f"{', '.join(f'{role}={split}' for role, split in found.items())}")
    if "train" not in found and len(splits) == 1 and not asked:
        return {"train": next(iter(splits.values()))}
    if "train" not in found:
        raise UserError(f"{name} must say which split is trained on, hf:...(train=SPLIT), got {', '.join(splits)}")
    # A split whose role another one was given is left alone on purpose.
    if unread := [split for split in splits if split not in found.values() and role_of(split) not in asked]:
        tested = ("" if "test" in found else f": {found['val']!r} is tested on" if "val" in found else
                  ": a fifth of each class is set apart")
        print(f"warning: of {name} {', '.join(map(repr, unread))} is not read, for its name is that of no part, such as 'test'"
              f"{tested}", file=sys.stderr)
    return {role: splits[split] for role, split in found.items()}
