"""What a page says of itself to search engines and previews, and the line at its foot."""

import re
from html import escape, unescape
from importlib import metadata
from pathlib import Path
from typing import Any

from docutils import nodes

from genlab.pipeline.site.places import around
from genlab.section.paths import PACKAGE

LONGEST = 200  # characters of a description: more is cut where it is shown
SHORTEST = 40  # of a paragraph that says anything
FORMULA = "\N{REPLACEMENT CHARACTER}"


def setup(app: Any) -> None:
    app.config.release = metadata.version(PACKAGE.name)
    app.connect("html-page-context", describe)
    app.connect("build-finished", write_sitemap)


def describe(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add the description of the page, and what a link to it shows elsewhere."""
    book = app.config.html_title
    title = unescape(re.sub("<[^>]*>", "", context.get("title") or book))
    summary = (context.get("meta") or {}).get("summary") or first_sentences(doctree)
    about = {
        "description": sentence(summary or (f"{title}: {book}" if title != book else book)),
        "og:title": title,
        "og:site_name": book,
        "og:type": "article",
    }
    about["og:description"] = about["description"]
    if context.get("pageurl"):
        about["og:url"] = context["pageurl"]
    context["metatags"] = context.get("metatags", "") + "".join(
        f'\n    <meta {"property" if ":" in name else "name"}="{name}" content="{escape(said)}" />'
        for name, said in about.items()
    )


def first_sentences(doctree: nodes.document | None) -> str:
    """The first sentences of a page's text that need no formula."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree else ():
        if not isinstance(paragraph.parent, nodes.section):
            continue
        text = " ".join(spoken(paragraph).split())
        told = ""
        for said in re.split(r"(?<=[.!?])\s+", text):
            if FORMULA in said or (told and len(told) + len(said) > LONGEST):
                break
            told = f"{told} {said}".strip()
        if len(told) >= SHORTEST:
            return told
    return ""


def spoken(paragraph: nodes.paragraph) -> str:
    """The text of a paragraph, with a sign in the place of each formula and without markup."""
    texts = paragraph.findall(nodes.Text)
    read = (text for text in texts if not around(text, (nodes.raw, nodes.Invisible)))
    return "".join(FORMULA if around(text, nodes.math) else text for text in read)


def sentence(text: str) -> str:
    """The text with a capital and a full stop, cut between two words if it is long."""
    if len(text) > LONGEST:
        text = text[:LONGEST].rsplit(" ", 1)[0].rstrip(",;:-") + " …"
    text = text.rstrip(":")
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?…" else ".")


def write_sitemap(app: Any, exception: Exception | None) -> None:
    """The addresses of all pages, if the book has an address."""
    if exception or not (base := app.config.html_baseurl):
        return
    pages = sorted(app.builder.get_target_uri(name) for name in app.env.found_docs)
    urls = "".join(f"<url><loc>{escape(base.rstrip('/'))}/{page}</loc></url>\n" for page in pages)
    text = f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n'
    Path(app.outdir, "sitemap.xml").write_text(text, "utf-8")
