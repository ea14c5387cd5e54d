"""Texts from anywhere, made harmless and cut to size. Pure."""

from __future__ import annotations


def plain(text: str) -> str:
    r"""A text in one line, with all that a terminal would act on spelt out.

    >>> print(plain("red \x1b[31m, two\nlines, für"))
    red \x1b[31m, two\nlines, für
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def cut(text: str, most: int) -> str:
    """A text of at most so many bytes in UTF-8, with an ellipsis where some are missing; ``most`` is 3 or more.

    >>> cut("für alle", 8), cut("für", 8)
    ('für …', 'für')
    """
    raw = text.encode()
    return text if len(raw) <= most else raw[: most - 3].decode(errors="ignore") + "…"
