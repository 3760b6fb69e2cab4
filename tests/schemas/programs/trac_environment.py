"""Trac's environment: tickets, their changes, wiki pages, permissions, sessions."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from trac.attachment import Attachment
from trac.env import Environment
from trac.perm import PermissionSystem
from trac.ticket.model import Component, Milestone, Ticket
from trac.web.session import DetachedSession
from trac.wiki.model import WikiPage

TEXTS = ("short", "é ü 北京 😀", "line\r\nline\n\ttab", "a'b\"c\\d", "%_;--", "x" * 3_000)


def fill(environment: Environment) -> None:
    """Rows by the models of Trac."""
    component = Component(environment)
    component.name, component.owner = "a/b c", "ada"
    component.insert()
    milestone = Milestone(environment)
    milestone.name, milestone.description = "Ümlaut 1.0", TEXTS[2]
    milestone.insert()
    for number in range(30):
        ticket = Ticket(environment)
        ticket.populate(
            {
                "summary": f"ticket {number}",
                "description": TEXTS[number % 6],
                "reporter": f"user{number % 4}",
                "component": "a/b c" if number % 2 else "component1",
                "milestone": "Ümlaut 1.0" if number % 3 else "",
                "keywords": None if number % 5 else "one two",
                "status": "new",
                "colour": TEXTS[number % 3],
            }
        )
        ticket.insert()
        ticket["priority"] = "minor"
        ticket.save_changes("ada", TEXTS[(number + 1) % 6])
        if number % 3 == 0:
            attachment = Attachment(environment, "ticket", ticket.id)
            attachment.author, attachment.description = "ada", TEXTS[number % 6]
            attachment.insert(f"file {number}.txt", io.BytesIO(b"x" * number), number)
        page = WikiPage(environment, f"Page{number}")
        for text in TEXTS[: 1 + number % 3]:
            page.text = text
            page.save("grace", f"version of {number}")
        session = DetachedSession(environment, f"user{number}")
        session.set("name", TEXTS[number % 5])
        session.set("email", f"user{number}@example.org")
        session.save()
        PermissionSystem(environment).grant_permission(f"user{number}", "WIKI_VIEW")


def main(url: str) -> None:
    """Make the tables and rows."""
    if url.startswith("sqlite:"):
        # Trac makes the file itself, and takes none that is there.
        Path(unquote(urlsplit(url).path.removeprefix("/"))).unlink(missing_ok=True)
    url = url.replace("sqlite:///", "sqlite:").replace("postgresql:", "postgres:")
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "environment")
        options = [("trac", "database", url), ("ticket-custom", "colour", "text")]
        environment = Environment(place, create=True, options=options)
        fill(environment)
        environment.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
