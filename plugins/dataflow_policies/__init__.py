"""Policies of models: tenants, soft delete, versions, and the audit log."""
