"""Whatever a record's file holds, it is read as it is or refused in one line, and its check never breaks."""

from __future__ import annotations

import copy as copies
import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ltbench.registry.discovery import load_registry
from ltbench.results import records
from ltbench.results.command import command_of
from ltbench.results.migration import migrate
from ltbench.results.reading import parse
from ltbench.terms.protocol import Protocol
from ltbench.trust.ground import Ground
from ltbench.trust.record import check_record
from tests.support import record_factory
from tests.support.properties import NUMBERS, SIGNS, VALUES, amounts, answered, holds
from tests.support.real_records import Copy

REGISTRY = load_registry(strict=False)
GROUND = Ground(REGISTRY, None)
PROTOCOLS = REGISTRY.datasets.get("digits-lt").load()().protocols
# What a stranger would write where there was something else: of the same kind, or of any other.
OTHERS = VALUES | st.sampled_from([0, 1, -1, 2**62, 0.5, 1e300, "", "ce", "paper", "custom", "../x", "a\nb", [], {}, True, None])


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every part of a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, part in inner for place in _places(part, (*path, name)))] if path else [
        place for name, part in inner for place in _places(part, (name,))]


def _damaged(value: Any, changes: list[tuple[int, bool, Any]]) -> Any:
    """Replace or remove parts: each change names a place by a number, however large."""
    changed = copies.deepcopy(value)
    for number, removes, other in changes:
        places = _places(changed)
        *parents, last = places[number % len(places)]
        inner = changed
        for name in parents:
            inner = inner[name]
        if removes:
            del inner[last]
        else:
            inner[last] = other
    return changed


CHANGES = st.lists(st.tuples(st.integers(0, 10**6), st.booleans(), OTHERS), min_size=1, max_size=3)


@amounts(60)
def test_a_record_is_read_as_it_is_or_refused(examples: int | None, tmp_path: Path) -> None:
    path = tmp_path / "a.json"

    def check(changes: list[tuple[int, bool, Any]]) -> None:
        path.write_text(json.dumps(_damaged(record_factory.record(), changes)))
        record = answered(lambda: records.read(path))
        if record is not None:
            assert record.as_dict() == migrate(parse(path))
            command = answered(lambda: command_of(record, PROTOCOLS))
            assert command is None or command.isprintable()

    holds(examples, check, changes=CHANGES)


@amounts(60)
def test_any_file_is_read_or_refused(examples: int | None, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    words = st.sampled_from(["{", "}", "[", "]", ",", ":", '"a"', '"schema"', "1", "1e999", "NaN", "null", '"\\ud800"', "9" * 30])

    def check(content: bytes) -> None:
        path.write_bytes(content)
        answered(lambda: parse(path))
        answered(lambda: records.read(path))

    texts = st.lists(words, max_size=12).map("".join)
    holds(examples, check, content=st.binary(max_size=40) | texts.map(str.encode))


@amounts(15)
def test_no_record_breaks_its_check(examples: int | None, copy: Copy) -> None:
    whole = copy.record()

    def check(changes: list[tuple[int, bool, Any]]) -> None:
        copy.save(_damaged(whole, changes))
        _, remarks = check_record(copy.json, REGISTRY, GROUND)
        assert all(remark.line(copy.json).isprintable() for remark in remarks)

    holds(examples, check, changes=CHANGES)


@amounts(60)
def test_a_protocol_is_itself_again(examples: int | None) -> None:
    names = st.sampled_from(sorted(Protocol("a", "b", 1).__dict__))

    def check(changes: dict[str, Any]) -> None:
        try:
            protocol = Protocol("quick", "resnet32", 2).replace(**changes)
        except (TypeError, ValueError):  # as what plans turns into one line
            return
        assert Protocol.from_dict(json.loads(json.dumps(protocol.as_dict()))) == protocol

    values = st.sampled_from([1, 2, 0.5, 0.0, None, True, "adamw", "step", "crop", ()]) | NUMBERS | st.text(SIGNS, max_size=3)
    holds(examples, check, changes=st.dictionaries(names, values, max_size=3))
