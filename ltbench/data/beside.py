"""Files beside a training list or table that hold the images to test on."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from ltbench.data.own import ROLES
from ltbench.data.part_folders import role_in
from ltbench.errors import UserError

_TRAIN = re.compile("train(?:ing)?|trn", re.IGNORECASE)
_WORDS = {part: tuple(word for word, role in ROLES.items() if role == part) for part in ("test", "val")}
_SUFFIXES = (".txt", ".csv", ".tsv", ".json", ".jsonl", ".lst", ".list", ".parquet", ".pq", ".arrow", ".feather", ".xls", ".xlsx")
_PACKED = (".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".zst", ".7z", ".rar")


def _saying(words: tuple[str, ...]) -> re.Pattern[str]:
    """Return what finds names of lists: "testset2" and "val_data" look like lists to test on, "valley" and "latest" do not."""
    return re.compile(rf"(?<![a-z])(?:{'|'.join(words)})(?:s|set|split|part|lists?|data|files?|images?|labels?)*(?![a-z])",
                      re.IGNORECASE)


_TEST, _JUDGE = _saying(_WORDS["test"]), _saying(_WORDS["test"] + _WORDS["val"])


def file_beside(file: Path, part: str) -> Path | None:
    """Return the file whose name says ``test`` or ``val`` where a training file's own says ``train``, or None.

    ``Train.txt`` has ``Test.txt`` or ``test.TXT`` beside it, ``train_list.csv`` has ``validation_list.csv``. A broken link is
    one, which whoever reads it refuses.

    Raises:
        UserError: If there are several, or the folder cannot be listed.
    """
    said = list(_TRAIN.finditer(file.name))
    # The last of several words alone, or all: training_set_train.txt has training_set_test.txt beside it.
    wanted = {(file.name[:said[-1].start()] + word + file.name[said[-1].end():]).lower() for word in _WORDS[part] if said}
    wanted |= {_TRAIN.sub(word, file.name).lower() for word in _WORDS[part] if said}
    try:
        inside = sorted(file.parent.iterdir()) if said else ()
        found = [other for other in inside if other.name.lower() in wanted and (other.is_file() or not other.exists())]
    except OSError as error:
        raise UserError(f"{str(file.parent)!r} cannot be read: {error.strerror}") from error
    if len(found) > 1:
        raise UserError(f"{str(file)!r} must have one list of the {part} part beside it, got "
                        f"{' and '.join(repr(other.name) for other in found)}")
    return found[0] if found else None


def say_not_read(other: str, given: str, why: str, read: Collection[str]) -> None:
    """Warn that something which may hold images to test on is not read, and say what is tested on in its place.

    Args:
        other: Its name.
        given: The name of what is trained on.
        why: It is not read.
        read: The parts that are read.
    """
    tested = ("" if "test" in read else ": the validation part is tested on" if "val" in read else
              ": a fifth of each class is set apart")
    print(f"warning: {other!r} beside {given!r} is not read, for {why}{tested}", file=sys.stderr)


def say_beside(file: Path, read: Collection[str], unused: Mapping[str, str]) -> None:
    """Warn of files of other parts beside that are not used, or else of what looks like images to test on where none are known.

    Args:
        file: What is trained on.
        read: The parts that are read.
        unused: Why the files of other parts are not used, by their parts.
    """
    for part, why in unused.items():
        if other := file_beside(file, part):
            say_not_read(other.name, file.name, why, read)
    if not unused and "test" not in read:
        say_unread(file, None if file.is_dir() else file_beside(file, "val"))


def say_unread(file: Path, val: Path | None = None, why: str | None = None) -> None:
    """Warn that a file which looks like one to test on is not read, because its name differs elsewhere too.

    A file of the same name in a folder of another part is one, too: ``test/list.txt`` for ``train/list.txt``. Of a folder that
    says ``train``, other folders are.

    Args:
        file: What is trained on, and holds no test part.
        val: What holds the validation part, which is tested on then; None where there is none.
        why: It is not read; None where its name, or its folder, alone is the reason.
    """
    judge = _JUDGE if val is None else _TEST
    suffixes = {*_SUFFIXES, *_PACKED, file.suffix.lower()}
    is_folder = file.is_dir()
    why = why or ("it is another folder" if is_folder else "their names differ in more than a word")
    beside: list[Path] = []
    try:
        if not is_folder or role_in(file.name) == "train":  # "tests" beside "data" may be a program's
            beside += [other for other in sorted(file.parent.iterdir()) if other not in (file, val)
                       and (is_folder or other.suffix.lower() in suffixes) and judge.search(other.stem)
                       and not other.name.startswith(".") and other.is_dir() == is_folder]
        if role_in(file.parent.name) == "train":
            beside += [folder / file.name for folder in sorted(file.parent.resolve().parent.iterdir())
                       if judge.search(folder.name) and (folder / file.name).exists()]
    except OSError:  # what may not be listed is no part
        pass
    if beside:
        other = beside[0].name if beside[0].parent == file.parent else f"{beside[0].parent.name}/{beside[0].name}"
        why = "it is packed" if other.lower().endswith(_PACKED) else why
        say_not_read(other, file.name, why, () if val is None else ("val",))
