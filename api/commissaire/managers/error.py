"""What every question to a container manager may end with."""


class ManagerError(Exception):
    """A container manager that can't be asked; the message says which, why and what to do."""
