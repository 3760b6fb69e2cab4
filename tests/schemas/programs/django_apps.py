"""Django's own apps: users, groups, sessions, pages, redirects, and what the admin logs of them."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any
from urllib.parse import unquote, urlsplit

import django
import pymysql
from django.conf import settings
from django.core.management import call_command

NAMES = ("ada", "Grace", "Zoë", "北京", "o'neill", "", "a%b_c", "😀")


def database(url: str) -> dict[str, Any]:
    """The settings of a database by its URL."""
    parts = urlsplit(url)
    path = unquote(parts.path[1:])
    if parts.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": path}
    engine = "postgresql" if parts.scheme == "postgresql" else "mysql"
    return {
        "ENGINE": f"django.db.backends.{engine}",
        "NAME": path,
        "HOST": parts.hostname,
        "PORT": parts.port,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
    }


def fill() -> None:
    """Rows by the models of the apps."""
    from django.contrib.admin.models import ADDITION, LogEntry
    from django.contrib.auth.models import Group, Permission, User
    from django.contrib.contenttypes.models import ContentType
    from django.contrib.flatpages.models import FlatPage
    from django.contrib.redirects.models import Redirect
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sites.models import Site

    site = Site.objects.get()
    permissions = list(Permission.objects.all())
    groups = [Group.objects.create(name=f"{name} {number}") for number, name in enumerate(NAMES)]
    about = ContentType.objects.get_for_model(User)
    moment = dt.datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=dt.UTC)
    for number in range(40):
        user = User.objects.create_user(
            f"user{number}", email=f"user{number}@example.org", first_name=NAMES[number % 8]
        )
        user.is_staff = number % 3 == 0
        user.last_login = None if number % 4 else moment - dt.timedelta(days=number)
        user.save()
        user.groups.add(*groups[: number % 5])
        user.user_permissions.add(*permissions[: number % 4])
        LogEntry.objects.create(
            user=user,
            content_type=about if number % 2 else None,
            object_id=str(user.pk),
            object_repr=f"user {number}",
            action_flag=ADDITION,
            change_message=f'[{{"added": {{"name": "{NAMES[number % 8]}"}}}}]',
        )
        session = SessionStore()
        session["user"] = number
        session.create()
        page = FlatPage.objects.create(url=f"/{number}/", title=f"{number}", content="é\n" * number)
        page.sites.add(site)
        Redirect.objects.create(
            site=site, old_path=f"/old/{number}", new_path="" if number else "/"
        )


def main(url: str) -> None:
    """Make the tables and rows."""
    pymysql.version_info = (2, 2, 8, "final", 0)  # what it stands in for has to be of this version
    pymysql.install_as_MySQLdb()
    apps = (
        "contenttypes",
        "auth",
        "sites",
        "admin",
        "sessions",
        "messages",
        "flatpages",
        "redirects",
    )
    settings.configure(
        DATABASES={"default": database(url)},
        INSTALLED_APPS=[f"django.contrib.{app}" for app in apps],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        SECRET_KEY="of a test",
        SITE_ID=1,
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0)
    fill()


if __name__ == "__main__":
    main(sys.argv[1])
