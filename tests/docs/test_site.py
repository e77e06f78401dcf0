"""The documentation as a site: strictly built, with every hook and every slot on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.method.contract import Method
from ltbench.registry import hookspecs
from tests.support.blocks import ROOT

pytest.importorskip("mkdocs", reason="the extra 'docs' is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; a broken link or a page that no menu names ends it."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder))
    config.plugins.on_startup(command="build", dirty=False)
    try:
        build(config)
    except Abort as error:
        pytest.fail(f"mkdocs: {error}")
    finally:
        config.plugins.on_shutdown()
    return folder


@pytest.mark.slow
def test_every_hook_is_in_the_reference(site: Path) -> None:
    page = (site / "reference.html").read_text(encoding="utf-8")
    hooks = [name for name in vars(hookspecs) if name.startswith("ltbench_")]
    assert len(hooks) >= 8
    for name in hooks:
        assert f'id="{name}"' in page, name


@pytest.mark.slow
def test_every_slot_is_in_the_reference(site: Path) -> None:
    page = (site / "reference.html").read_text(encoding="utf-8")
    for name, value in vars(Method).items():
        if callable(value) and not name.startswith("_"):
            assert f'id="{name}"' in page, name


@pytest.mark.slow
def test_pages_written_elsewhere_are_there_with_their_links(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="own-data.html"' in home and 'href="methods/prototype.html"' in home
    assert (site / "methods" / "baselines.html").is_file() and (site / "changelog.html").is_file()


@pytest.mark.slow
def test_the_boards_pages_are_there_as_they_are(site: Path) -> None:
    boards = ROOT / "leaderboards"
    pages = sorted(path.relative_to(boards) for path in (boards / "index.html", *boards.glob("*/index.html")))
    assert len(pages) == 1 + len(list(boards.glob("*/board.toml")))
    for page in pages:
        assert (site / "boards" / page).read_bytes() == (boards / page).read_bytes()
    assert (site / "boards" / "digits-lt" / "board.json").is_file() and not list((site / "boards").glob("*/results"))
    assert 'href="boards/cifar100-lt/index.html"' in (site / "index.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "fonts.googleapis" not in text and 'src="http' not in text, page.name
