"""Write docs/reference.md: the public names, slots and hooks of ltbench, from their signatures and docstrings.

``python tools/reference.py`` writes the page, and a test fails while it is out of date. The page is plain Markdown, so that it
reads the same in the repository, in an editor and on the site.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import griffe

import ltbench

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference.md"
WIDTH = 130

HEAD = """# Reference

Generated from the docstrings by `python tools/reference.py`; do not edit. A plugin may import from `ltbench` what is on this
page; everything else may change. [Writing a method](writing-a-method.md) explains how the parts work together. Letters: N
samples, B batch, C classes, D features, K centroids a class.
"""

# Headings and the names below them; a public name that stands nowhere is added under "Further names".
GROUPS: dict[str, tuple[str, ...]] = {
    "What a slot gets": ("Facts", "Context", "Batch", "Partners", "MovingAverage", "Bank", "Seen"),
    "What a slot gives": ("Output", "Step", "ParameterGroup", "PaperSetting"),
    "Parts to build methods from": (
        "BackboneFactory", "HeadFactory", "Head", "ExpertBackbone", "ExpertHead", "CosineClassifier", "DistanceClassifier",
        "ReusedClassifier",
        "euclidean_distance", "pairwise_squared_distance", "ClassFile", "words_of",
        "class_means", "class_centroids", "row_blocks", "Sampler",
        "InstanceBalanced", "ClassBalanced", "ClassAware", "ClassReversed", "SquareRoot", "OfClasses"),
    "Ranges of hyperparameters": ("Positive", "NonNegative", "Fraction", "Interval", "Uniform", "LogUniform", "Choice"),
    "What hooks return and get": (
        "MethodSpec", "DatasetSpec", "BackboneSpec", "BackboneRequest", "AugmentationSpec", "MetricSpec", "RunInfo"),
    "Augmentations": ("Augmentation", "ImageFacts", "OneByOne"),
    "Datasets": ("class_names", "Dataset", "Parts", "ImageSource", "TensorImages", "Published", "Totals"),
    "Terms": ("Task", "Protocol", "shot_splits"),
    "Run and read": ("run", "load", "Runs", "read_record", "read_geometry", "mean_interval", "UserError", "MissingData"),
}
ELSEWHERE = ("Method", "hookimpl", "__version__")  # a section of its own; a marker; a string
RECORD = """What `ltbench.read_record` returns and a record's file holds; also as [JSON Schema](record.schema.json). Fields that
this version does not know are kept."""


def plain(text: str) -> str:
    """Return a docstring's text as Markdown: roles and double backticks become code."""
    text = re.sub(r":(?:class|func|meth|mod|data|attr):`~?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")


def filled(text: str, indent: str = "", first: str = "") -> str:
    """Return a paragraph in lines of at most 130 signs, none of which looks like an item of a list."""
    lines = textwrap.wrap(plain(" ".join(text.split())), WIDTH, initial_indent=first or indent, subsequent_indent=indent,
                          break_long_words=False, break_on_hyphens=False)
    return re.sub(r"\n *(?=(?:[-+*#]+|\d+\.) )", " ", "\n".join(lines))


def paragraphs(text: str, indent: str = "") -> Iterator[str]:
    """Give the paragraphs of a docstring; what follows a double colon is code."""
    for part in re.split(r"\n\n(?! )", text):
        before, colon, code = part.partition("::\n\n")
        yield filled(before if not colon or before.endswith(" ") else f"{before}:", indent)
        if colon:
            yield textwrap.indent(f"```text\n{textwrap.dedent(code).rstrip()}\n```", indent)


def sections(thing: griffe.Object) -> tuple[str, list[tuple[str, str]]]:
    """Return the text of a docstring, and its lists of arguments, attributes, results and errors as (name, text)."""
    text, items = "", []
    for section in thing.docstring.parsed if thing.docstring else []:
        if section.kind is griffe.DocstringSectionKind.text:
            text += ("\n\n" if text else "") + section.value
        elif section.kind in (griffe.DocstringSectionKind.returns, griffe.DocstringSectionKind.yields):
            items += [(section.kind.value, value.description) for value in section.value]
        elif section.kind is griffe.DocstringSectionKind.raises:
            items += [(f"raises `{value.annotation}`", value.description) for value in section.value]
        elif hasattr(section, "value") and isinstance(section.value, list):
            items += [(f"`{value.name}`", value.description) for value in section.value]
    return text, items


def annotated(annotation: str | griffe.Expr | None, mark: str) -> str:
    """Return an annotation as it is written behind ``: `` or ``-> ``."""
    return "" if annotation is None else mark + re.sub(r"Annotated\[(\w+), .*\]", r"\1", str(annotation))


def signature(name: str, parameters: Iterable[griffe.Parameter], returns: str | griffe.Expr | None = None) -> list[str]:
    """Return a call's form in one line, or in one a parameter where it is long."""
    parts, starred = [], False
    for parameter in parameters:
        if parameter.name == "self" or parameter.name == "cls":
            continue
        if parameter.kind is griffe.ParameterKind.keyword_only and not starred:
            parts.append("*")
            starred = True
        default = "" if parameter.default is None else (" = " if parameter.annotation else "=") + str(parameter.default)
        parts.append(parameter.name + annotated(parameter.annotation, ": ") + default)
    result = annotated(returns, " -> ")
    line = f"{name}({', '.join(parts)}){result}"
    if len(line) <= WIDTH - 10:
        return [line]
    return [f"{name}(", *(f"    {part}," for part in parts), f"){result}"]


def form(thing: griffe.Object, name: str = "") -> list[str]:
    """Return the form in which something is called or read."""
    name = name or thing.name
    if isinstance(thing, griffe.Function):
        return signature(name, thing.parameters, thing.returns)
    if isinstance(thing, griffe.Class):
        return signature(name, thing.parameters)
    if isinstance(thing, griffe.Attribute) and isinstance(thing.parent, griffe.Module):  # a name for a type
        return [f"{name} = {thing.value}"]
    if isinstance(thing, griffe.Attribute):
        return [name + annotated(thing.annotation, ": ")]
    return [name]


def members(kind: griffe.Class) -> list[griffe.Object]:
    """Return a class's own public functions, properties and fields that say something, in the order of the source."""
    return [thing for name, thing in kind.members.items()
            if not name.startswith("_") and isinstance(thing, griffe.Object) and thing.has_docstring]


def listed(items: Iterable[tuple[str, str]]) -> list[str]:
    """Return arguments as a list, empty where there are none."""
    lines = [filled(f"{name}: {text}", "  ", "- ") for name, text in items]
    return ["\n".join(lines)] if lines else []


def described(thing: griffe.Object, heading: str, name: str = "") -> list[str]:
    """Return something's heading, form, text and arguments; of a class its functions too, an item each.

    Args:
        thing: What is described.
        heading: Its signs, such as ``###``.
        name: Under which it is public; empty for its own.
    """
    lines = form(thing, name)
    shown = f"`{lines[0]}`" if len(lines) == 1 else "```text\n" + "\n".join(lines) + "\n```"
    text, items = sections(thing)
    if isinstance(thing, griffe.Class) and not takes(thing):
        shown = ""  # nobody but the core makes one
    blocks = [f"{heading} {name or thing.name}", shown, *paragraphs(text), *listed(items)]
    if isinstance(thing, griffe.Class) and members(thing):
        fields = any(member.is_attribute and "property" not in member.labels for member in members(thing))
        blocks += ["It holds:" if fields else "It offers:", "\n".join(member_item(member) for member in members(thing))]
    return blocks


def takes(kind: griffe.Class) -> bool:
    """Tell whether a class's docstring speaks of arguments of its constructor."""
    parsed = kind.docstring.parsed if kind.docstring else []
    return any(section.kind is griffe.DocstringSectionKind.parameters for section in parsed)


def member_item(thing: griffe.Object) -> str:
    """Return a function or property of a class as an item of a list."""
    text, items = sections(thing)
    head, *others = re.split(r"\n\n(?! )", text)
    lines = [filled(f"`{' '.join(line.strip() for line in form(thing))}`: {head}", "  ", "- ")]
    lines += ["\n" + block + "\n" for other in others for block in paragraphs(other, "    ")]
    lines += [filled(f"{name}: {more}", "      ", "    - ") for name, more in items]
    return "\n".join(lines)


def slots(method: griffe.Class) -> list[str]:
    """Return the section of the class that a method derives from: what it declares, then a heading a slot."""
    text, items = sections(method)
    blocks = ["## Slots of a method", "A method derives from `ltbench.Method` and overrides the slots that it is about.",
              *paragraphs(text), *listed(items)]
    for thing in members(method):
        blocks += described(thing, "###")
    return blocks


def hooks(module: griffe.Module) -> list[str]:
    """Return the section of the hooks."""
    _file, *said = paragraphs(sections(module)[0])
    blocks = ["## Hooks", *said]
    for name, thing in module.members.items():
        if name.startswith("ltbench_") and isinstance(thing, griffe.Object):
            blocks += described(thing, "###")
    return blocks


def target(thing: griffe.Object | griffe.Alias) -> griffe.Object:
    """Return what a name stands for, where it is imported or another name of the same module."""
    if isinstance(thing, griffe.Alias):
        return thing.final_target
    if isinstance(thing, griffe.Attribute) and isinstance(thing.value, griffe.ExprName):
        return target(thing.parent.members.get(thing.value.name, thing)) if thing.parent else thing
    return thing


def parts_of(model: griffe.Class) -> dict[str, griffe.Class]:
    """Return a model and the models of its fields, and of theirs, from the top down."""
    found, todo = {model.name: model}, [model]
    while todo:
        kind = todo.pop(0)
        words = [word for field in members(kind) if isinstance(field, griffe.Attribute)
                 for word in re.findall(r"\w+", str(field.annotation))]
        for word in words:
            part = kind.module.members.get(word)
            if isinstance(part, griffe.Alias) and part.target_path.startswith("ltbench."):
                part = part.final_target
            if isinstance(part, griffe.Class) and word not in found:
                found[word] = part
                todo.append(part)
    return found


def page() -> str:
    """Return the page."""
    package = griffe.load("ltbench", search_paths=[str(ROOT)], docstring_parser="google")
    assert isinstance(package, griffe.Module)
    places = {name: ltbench._HOMES[name] for name in ltbench.__all__ if name not in ELSEWHERE}
    found = {name: target(package[f"{home.removeprefix('ltbench.')}.{name}"]) for name, home in places.items()}
    blocks = [HEAD.rstrip(), *slots(package["method.contract.Method"])]
    named = {name for names in GROUPS.values() for name in names}
    groups = {**GROUPS, "Further names": tuple(name for name in found if name not in {*named, "Record"})}
    hooks_stand_before = "What hooks return and get"
    for title, names in groups.items():
        if title == hooks_stand_before:
            blocks += hooks(package["registry.hookspecs"])
        present = [name for name in names if name in found]
        if present:
            blocks.append(f"## {title}")
            for name in present:
                blocks += described(found[name], "###", name)
    if isinstance(record := found.get("Record"), griffe.Class):
        blocks += ["## The record", RECORD]
        for name, part in parts_of(record).items():
            blocks += described(part, "###", name)
    first, _room, *others = paragraphs(sections(package["testing"])[0])
    blocks += ["## ltbench.testing", first, *others]
    for name in package["testing"].exports or ():
        thing = target(package[f"testing.{name}"])
        blocks += described(thing, "###") if thing.has_docstring else []
    return "\n\n".join(block for block in blocks if block) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
