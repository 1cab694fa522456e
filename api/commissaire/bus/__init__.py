"""The message bus: every committed change of a record is told on it (kombu)."""
