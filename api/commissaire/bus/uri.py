"""Bus URIs: opened by kombu, and shown without the passwords they may hold."""

from __future__ import annotations

import re

from kombu import Connection

from commissaire.configuration import SettingsError

CONNECT_TIMEOUT_SECONDS = 5
_ANSWER_TIMEOUTS = {
    "redis": {"socket_timeout": CONNECT_TIMEOUT_SECONDS, "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS},
    "amqp": {"read_timeout": CONNECT_TIMEOUT_SECONDS, "write_timeout": CONNECT_TIMEOUT_SECONDS},
}
"""What makes a broker that has stopped to answer an error, by kombu's type of driver."""


def connection_to(uri: str, *, answers_at_once: bool = False) -> Connection:
    """Return a connection that is not open yet. With *answers_at_once*, a broker that does not answer is an error.

    Raises:
        SettingsError: the URI can't be used.
    """
    try:
        connection = Connection(uri, connect_timeout=CONNECT_TIMEOUT_SECONDS)
        driver = connection.get_transport_cls().driver_type
    except KeyError:
        raise SettingsError(
            f"bus_uri {shown(uri)}: kombu has no such transport; redis:// and amqp:// are some"
        ) from None
    except ImportError as error:
        raise SettingsError(f"bus_uri {shown(uri)}: {error}; install what the transport needs") from error
    except ValueError:  # its text would show a piece of the password
        raise SettingsError(
            f"bus_uri {shown(uri)} can't be read; write special characters of a password as %XX, / as %2F"
        ) from None
    if answers_at_once:
        connection.transport_options.update(_ANSWER_TIMEOUTS.get(driver, {}))
    return connection


def shown(uri: str) -> str:
    """Return scheme, host and port of each broker in *uri*."""
    return ";".join(re.sub(r"^([^:/]*://)(?:.*@)?([^/?@]*).*$", r"\1\2", part) for part in uri.split(";"))
