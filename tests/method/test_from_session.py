from __future__ import annotations

import pytest

import ltbench
from ltbench.errors import UserError
from ltbench.method.from_session import register
from ltbench.registry.discovery import load_registry
from ltbench.registry.session_text import is_typed
from ltbench.registry.sources import source_hashes
from tests.support.sessions import run_cell, session

IMPORTS = "import torch, ltbench\nfrom torch import nn, Tensor\nimport torch.nn.functional as F\n"
CELL = '''
class Typed(ltbench.Method):
    """Be typed."""

    name = "typed"
    stages = frozenset({1})

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        scale = 1.0
        return scale * F.cross_entropy(logits, labels, reduction="none")
'''


def test_a_typed_class_is_told_by_its_text() -> None:
    hashes = []
    for text in (CELL, CELL + "\n\n# a remark\n", CELL.replace("1.0", "2.0"), CELL):
        with session() as module:
            run_cell(module, IMPORTS)
            run_cell(module, text)
            assert is_typed(module.Typed)
            hashes.append(source_hashes(module.Typed))
    assert [list(found) for found in hashes] == [["typed/Typed"]] * 4
    assert hashes[0] == hashes[1] == hashes[3] != hashes[2]


def test_a_typed_base_class_counts_too() -> None:
    hashes = []
    for text in (CELL, CELL.replace("1.0", "2.0")):
        with session() as module:
            run_cell(module, IMPORTS + text)
            run_cell(module, 'class Derived(Typed):\n    name = "derived"\n    def fit(self, ctx): super().fit(ctx)\n')
            hashes.append(source_hashes(module.Derived))
    assert hashes[0]["typed/Derived"] == hashes[1]["typed/Derived"] and hashes[0]["typed/Typed"] != hashes[1]["typed/Typed"]


@pytest.mark.parametrize("typed", ["scale = 3.0", "def scale(x): return x", "class scale: pass"])
def test_what_else_was_typed_cannot_be_used(typed: str) -> None:
    uses = CELL.replace("        scale = 1.0\n", "")
    with session() as module:
        run_cell(module, f"{IMPORTS}{typed}\n{uses}")
        with pytest.raises(UserError, match="^method Typed uses 'scale' from outside its class: put both into a file"):
            register(module.Typed, load_registry(strict=False))
        run_cell(module, f"{IMPORTS}{typed}\n{CELL}")  # there it is a name of the method's own
        assert register(module.Typed, load_registry(strict=False)) == "typed"


def test_a_class_without_a_text_is_refused() -> None:
    with session() as module:
        exec(compile(IMPORTS + CELL, "<stdin>", "exec"), vars(module))
        with pytest.raises(UserError, match="^method Typed must be put into a file: nothing here tells its text$"):
            register(module.Typed, load_registry(strict=False))


class InAFile(ltbench.Method):
    """Stand in a file."""

    name = "in_a_file"
    stages = frozenset({1})
    reference = "File et al., 1960"


def test_a_class_in_a_file_has_the_files_hash() -> None:
    assert not is_typed(InAFile) and "tests/method/test_from_session.py" in source_hashes(InAFile)
    registry = load_registry(strict=False)
    assert register(InAFile, registry) == "in_a_file" and registry.methods.get("in_a_file").load() is InAFile
    assert registry.methods.get("in_a_file").spec.paper == "File et al., 1960"
    with pytest.raises(UserError, match="^method InAFile must have a name that is not taken, got 'in_a_file'$"):
        register(InAFile, registry)


class Nameless(ltbench.Method):
    """Have no name."""


class Shouting(ltbench.Method):
    """Have a name that no method has."""

    name = "Shouting"
    stages = frozenset({1})


def test_what_is_no_method_is_refused() -> None:
    class Local(ltbench.Method):
        """Be hidden in a function."""

        name = "local"
        stages = frozenset({1})

    registry = load_registry(strict=False)
    for value, message in ((int, "must be expressions or classes derived from ltbench.Method, got <class 'int'>"),
                           (Nameless, "method Nameless must have 'name' as a class attribute"),
                           (Shouting, "method Shouting: MethodSpec.name must match"),
                           (Local, "method Local must stand at the top level of a module or of a notebook")):
        with pytest.raises(UserError, match=message):
            register(value, registry)
