"""What every test may use."""

import signal

pytest_plugins = ["lab.fixtures"]


def pytest_configure() -> None:
    """Heed the signals that whoever started the tests ignores, as nohup does: what the tests start inherits that."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
