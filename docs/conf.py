"""How Sphinx makes a site of these pages: `nox -s site`.

The pages are plain Markdown, which reads the same without the site. What only the site needs is
added here: its navigation is what the lists in each index.md link to.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING, Any

import imagegen

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "imagegen"
author = "The imagegen developers"
version = release = imagegen.__version__
html_title = f"imagegen {release}"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_static"]
highlight_language = "text"
suppress_warnings = ["misc.highlighting_failure"]  # JSON with … for what is left out
myst_heading_anchors = 3

# Our own names have to lead somewhere; those of Python and other packages are not looked up,
# because the site is built without a network.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!imagegen\b).*"),
    ("py:.*", r"imagegen\..*\.(S|T|T_co)"),  # type variables
    ("py:class", r"imagegen\.purchase\.orders\.Order"),  # a private field, shown by autodoc
]
default_role = "code"
autoclass_content = "class"
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 72
python_use_unqualified_type_names = True

LISTED = re.compile(r"^- \[[^]]+\]\((?P<page>[^):#]+)\.md\)", re.MULTILINE)
LINK = re.compile(r"\[(?P<words>[^]]+)\]\((?P<target>\.\./[^)\s]*)\)")
NAMED = re.compile(r"<(?:class '(?:\w+\.)*|(?:built-in )?function )(?P<name>\w+)'?(?: at 0x\w+)?>")
MADE = re.compile(r"\bNOTHING\b")
"""What a signature has in place of a default that is made anew each time."""
EVERY = "\n```{{toctree}}\n:glob:\n:titlesonly:\n\n{}\n```\n"
LISTS = {"decisions/index": EVERY.format("[0-9]*"), "backends/index": EVERY.format("*")}
"""What pages list that name no other: whatever is in their folder."""


def navigation(text: str) -> str:
    """A table of contents for each section of an index whose list links to pages."""
    tables = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        caption, _, rest = section.partition("\n")
        pages = "\n".join(link["page"] for link in LISTED.finditer(rest))
        if pages:
            tables.append(f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n")
    return "".join(tables)


def within(text: str, page: str) -> str:
    """*text* without links that leave these pages: the site has nothing else of the repository."""
    folder = PurePosixPath(page).parent

    def kept(link: re.Match[str]) -> str:
        leaves = normpath(folder / link["target"]).startswith("..")
        return link["words"] if leaves else link[0]

    return LINK.sub(kept, text)


def as_read(_: Sphinx, page: str, source: list[str]) -> None:
    """Make of a page what the site shows."""
    source[0] = within(source[0], page)
    if page in LISTS:
        source[0] += LISTS[page]
    elif page.rpartition("/")[2] == "index":
        source[0] += navigation(source[0])


def with_names(*about: Any) -> tuple[str | None, str | None]:
    """A signature whose defaults are names, where a repr would be no Python."""
    signature, returned = about[-2:]
    return signature and MADE.sub("...", NAMED.sub(r"\g<name>", signature)), returned


def setup(app: Sphinx) -> None:
    """Have each page looked at as it is read, and each signature as it is shown."""
    app.connect("source-read", as_read)
    app.connect("autodoc-process-signature", with_names)
