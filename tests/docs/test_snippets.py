"""Every ```python block of README.md and docs/ runs: page by page, top to bottom, in one namespace."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def blocks(page):
    """The code of a page's blocks, each at its own line so that a traceback points into the page."""
    text = page.read_text()
    return ["\n" * text.count("\n", 0, match.start(1)) + match[1] for match in BLOCK.finditer(text)]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_the_snippets_of_a_page_run(page, run_folder):
    if page.name == "pretrained.md":
        pytest.importorskip("transformers")
        from tests.perception import networks

        folder = run_folder / "facebook" / "dinov2-small"  # a folder comes before the hub
        folder.mkdir(parents=True)
        networks.save("dinov2", folder)
    namespace = {"__name__": "snippets"}
    ran = 0
    for block in blocks(page):
        exec(compile(block, str(page), "exec"), namespace)
        ran += 1
    assert ran == len(blocks(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page):
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []
