"""Secrets: kept outside the records they belong to, by the backend that is configured (CPD-101)."""
