"""Render the templates of a new plugin, and write them."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path

from ltbench.cli.extend.scaffold.kinds import Kind
from ltbench.cli.extend.scaffold.naming import Names
from ltbench.errors import UserError
from ltbench.version import __version__

_TEMPLATES = Path(__file__).parent / "templates"
COMMANDS = {"method": "ltbench run --methods {0},{1} --dataset digits-lt --seeds 0",
             "dataset": "ltbench run --methods {1} --dataset {0} --seeds 0",
             "metric": "ltbench run --methods {1} --dataset digits-lt --seeds 0"}
TABLES = {"method": "ltbench leaderboard runs", "dataset": "ltbench leaderboard runs",
           "metric": "ltbench show runs/*.json   # its figures begin with extra.{0}"}
_VERBS = {"method": "", "dataset": "holds ", "metric": "measures the "}


def write_plugin(folder: Path, name_of_kind: str, kind: Kind, names: Names, base_method: str) -> list[Path]:
    """Write a whole distribution.

    Raises:
        UserError: If the folder is there, or cannot be made, or the files use the name for something else.
    """
    texts = render(name_of_kind, kind, names, base_method)
    _require_free(texts, names.name if kind.noun == "metric" else names.class_name)
    return write_files(folder, texts)


def write_files(folder: Path, texts: Mapping[Path, str]) -> list[Path]:
    """Write the files of a distribution into a new folder.

    Raises:
        UserError: If the folder is there, or cannot be made.
    """
    try:
        folder.mkdir(parents=True)
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise UserError(f"the folder to make must not be there, got {str(folder)!r}") from None
    except OSError as error:
        raise UserError(f"{str(folder)!r} cannot be made: {error.strerror}") from error
    return list(texts)


def _require_free(texts: Mapping[Path, str], made: str) -> None:
    """Refuse a name that the files have another use for: an import or a helper of that name would be hidden, or hide it."""
    for path, text in texts.items():
        tree = ast.parse(text) if path.suffix == ".py" else ast.Module([], [])
        bound = [alias.asname or alias.name for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)
                 for alias in node.names]
        bound += [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
        if bound.count(made) > 1 or hasattr(builtins, made):
            raise UserError(f"NAME must be one that its files have no other use for, got one that makes {made!r}")


def render(name_of_kind: str, kind: Kind, names: Names, base_method: str) -> dict[Path, str]:
    """Return the text of every file of a new distribution, by its path within."""
    package = Path(names.package)
    said = {"summary": kind.summary, "first": kind.first, "stages": kind.stages, "paper": kind.paper, "noun": kind.noun,
            "per_part": kind.per_part, "dependencies": [], "verb": _VERBS[kind.noun],
            "table": TABLES[kind.noun].format(names.registered),
            "command": COMMANDS[kind.noun].format(names.registered, base_method)}
    return render_files({
        Path("README.md"): "common/README.md",
        package / "plugin.py": f"common/plugin_{kind.noun}.py",
        package / f"{names.name}.py": f"{name_of_kind}/module.py",
        Path("tests", f"test_{names.name}.py"): f"{name_of_kind}/test.py",
    }, names, said)


def render_files(own: Mapping[Path, str], names: Names, said: Mapping[str, object]) -> dict[Path, str]:
    """Return the text of every file of a distribution: its own ones, and those that all have.

    Args:
        own: Path within it -> template.
        said: What the templates are told, beside names and versions.
    """
    import jinja2

    templates = jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), undefined=jinja2.StrictUndefined,
                                   keep_trailing_newline=True, autoescape=False)
    templates.filters["quoted"] = functools.partial(json.dumps, ensure_ascii=False)  # a string of Python and of TOML too
    package = Path(names.package)
    files = {
        Path("pyproject.toml"): "common/pyproject.toml",
        Path("requirements.txt"): "common/requirements.txt",
        Path(".gitignore"): "common/gitignore",
        Path(".github", "workflows", "tests.yml"): "common/workflow.yml",
        package / "__init__.py": "common/init.py",
        **own,
    }
    direct = importlib.metadata.distribution("ltbench").read_text("direct_url.json")
    told = {"name": names.name, "registered": names.registered, "package": names.package, "distribution": names.distribution,
            "class_name": names.class_name, "ltbench": __version__, "requirement": requirement(direct), **said}
    texts = {path: templates.get_template(f"{template}.jinja").render(told) for path, template in files.items()}
    return {**texts, package / "py.typed": ""}


def requirement(direct_url: str | None) -> str:
    """Return what pip is asked for to get the ltbench that is installed here.

    Args:
        direct_url: What pip notes of an installation that came from no index (PEP 610), or None. A folder of this machine is
            no place for others.
    """
    noted = json.loads(direct_url) if direct_url else {}
    version = noted.get("vcs_info", {})
    if "url" in noted and "commit_id" in version:
        return f"ltbench @ {version['vcs']}+{noted['url']}@{version['commit_id']}"
    return f"ltbench>={__version__}"
