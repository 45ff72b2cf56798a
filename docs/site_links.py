"""A hook of MkDocs: links that leave docs/ are for readers of the repository, not of the site."""

import posixpath
import re
from typing import Any

LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#]+)\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return a page whose links that leave docs/ are the names of their files."""

    def named(found: re.Match[str]) -> str:
        text, target = found.groups()
        folder = posixpath.dirname(f"docs/{page.file.src_uri}")
        path = posixpath.normpath(posixpath.join(folder, target))
        return found[0] if path.startswith("docs/") else f"{text} (`{path}`)"

    return LINK.sub(named, markdown)
