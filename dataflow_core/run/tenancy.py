"""The tenant in force: what calls on multi-tenant models are confined to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from typing import Any

from dataflow_core.errors import InvalidValue, TenantMismatch, TenantRequired
from dataflow_core.schema import ContextValue
from dataflow_core.types import FieldType

__all__ = ["TENANT_PARAMETER", "Tenancy"]

TENANT_PARAMETER = "tenant_id"


class Tenancy:
    """The tenants of one instance. What is set holds for the task or thread that sets it."""

    def __init__(self) -> None:
        self._tenant: ContextVar[Any] = ContextVar("tenant", default=None)

    @property
    def current(self) -> Any:
        """The tenant in force, or ``None``."""
        return self._tenant.get()

    @property
    def text(self) -> str:
        """The tenant in force as text; empty where there is none."""
        tenant = self._tenant.get()
        if tenant is None:
            return ""
        return str(tenant.value if isinstance(tenant, Enum) else tenant)

    @contextmanager
    def entered(self, tenant: Any) -> Iterator[None]:
        """A tenant in force, in the place of any other."""
        if tenant is None or tenant == "" or isinstance(tenant, bool):
            raise InvalidValue("a tenant is a text, a number or a UUID, and never empty")
        token = self._tenant.set(tenant)
        try:
            yield
        finally:
            self._tenant.reset(token)

    @contextmanager
    def given(self, tenant: Any, kind: FieldType) -> Iterator[None]:
        """The tenant that one call gives, where none is in force, or that very one."""
        tenant = kind.check(tenant, TENANT_PARAMETER)
        if self.current is None:
            with self.entered(tenant):
                yield
            return
        self.tenant(kind).check(tenant)
        yield

    def tenant(self, kind: FieldType) -> ContextValue:
        """The tenant as what the fields of a type have."""
        tenant, check = self._tenant, kind.check

        def read() -> Any:
            value = tenant.get()
            if value is None:
                raise TenantRequired(
                    "no tenant is in force, and the model is multi-tenant:"
                    " give tenant_id, or call within db.tenant(...)"
                )
            return check(value, "the tenant in force")

        def same(value: Any) -> Any:
            if value != read():
                raise TenantMismatch("another tenant than the one given is in force")
            return value

        return ContextValue(
            "tenant",
            read,
            same,
            TENANT_PARAMETER,
            lambda given: self.given(given, kind),
            lambda: self.text,
        )
