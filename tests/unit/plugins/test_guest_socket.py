"""Guest agents on unix sockets, in both dialects."""

import json
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_socket import SocketLines, SocketMessages


@contextmanager
def serving(path, talk):
    """Run `talk(stream)` for the first who connects."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve():
            connection, _ = listener.accept()
            with connection, connection.makefile("rwb", buffering=0) as stream:
                talk(stream)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield str(path)
        thread.join(5)


def synced(stream):
    request = json.loads(stream.readline().lstrip(b"\xff"))
    assert request["execute"] == "guest-sync-delimited"
    stream.write(b"\xff" + json.dumps({"return": request["arguments"]["id"]}).encode() + b"\n")


def test_what_was_left_by_others_is_skipped(tmp_path):
    def talk(stream):
        stream.write(b'{"return": {"half')
        stream.write(b'\n\xff{"return": 1}\n\xffnonsense\n')
        synced(stream)
        stream.write(b'{"return": "' + stream.readline().rstrip().replace(b'"', b"'") + b'"}\n')

    with serving(tmp_path / "s", talk) as path:
        lines = SocketLines(path)
        assert lines.exchange("{}", 5) == '{"return": "{}"}'
        lines.close()


def test_a_late_answer_is_not_that_to_the_next_question(tmp_path):
    def talk(stream):
        synced(stream)
        stream.readline()
        time.sleep(0.2)
        stream.write(b'{"return": "late"}\n')
        synced(stream)
        stream.readline()
        stream.write(b'{"return": "right"}\n')

    with serving(tmp_path / "s", talk) as path:
        lines = SocketLines(path)
        with pytest.raises(GuestError, match="its guest agent does not answer on the socket"):
            lines.exchange("{}", 0.1)
        assert lines.exchange("{}", 5) == '{"return": "right"}'
        lines.close()


def test_a_message_of_the_nova_dialect_ends_with_a_blank_line(tmp_path):
    told = []

    def talk(stream):
        told.append(stream.readline() + stream.readline())
        stream.write(b'{"returncode": "0",\n "message"')
        time.sleep(0.05)
        stream.write(b': "9999"}\n\n')

    with serving(tmp_path / "s", talk) as path:
        messages = SocketMessages(path)
        reply = messages.exchange({"name": "version", "value": "agent"}, 5)
        messages.close()
    assert json.loads(reply) == {"returncode": "0", "message": "9999"}
    assert told == [b'{"name": "version", "value": "agent"}\n\n']


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        (lambda stream: None, "its guest agent (has closed|is gone from) the socket"),
        (lambda stream: time.sleep(0.4), r"may be busy \(timeout_seconds\), speak another dialect"),
        (lambda stream: [stream.write(b"x" * 2**20) for _ in range(80)], "says more than|is gone"),
    ],
)
def test_an_agent_that_says_nothing_of_use_is_told(tmp_path, monkeypatch, talk, words):
    def quietly(stream):
        try:
            talk(stream)
        except OSError:
            return

    with serving(tmp_path / "s", quietly) as path:
        lines = SocketLines(path)
        with pytest.raises(GuestError, match=words):
            lines.exchange("{}", 0.2 if "busy" in words else 10)
        lines.close()
