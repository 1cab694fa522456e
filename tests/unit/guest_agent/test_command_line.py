"""The command line, as far as it starts nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singularity import __version__, cli


def given(*words: str) -> dict[str, Any]:
    return {name: value for name, value in vars(cli.read(words)).items() if value is not None}


def test_options_can_stand_before_and_after_the_command() -> None:
    assert given("-l", "debug", "daemon", "-c", "/c", "start") == {
        "command": "daemon",
        "action": "start",
        "log_level": "debug",
        "cache": "/c",
    }


def test_short_and_long_options_of_the_seed_are_there() -> None:
    words = "-l info -b -f /f -c /c -H - -F network,file -r /r -p /p -u me -g us --nodaemonize -d /d /e"
    assert given("daemon", "start", *words.split()) == {
        "command": "daemon",
        "action": "start",
        "log_level": "info",
        "backup": True,
        "configuration": "/f",
        "cache": "/c",
        "log_handler": "-",
        "functions": ("network", "file"),
        "run": "/r",
        "pidfile": "/p",
        "uid": "me",
        "gid": "us",
        "nodaemonize": True,
        "configurators": ("/d", "/e"),
    }


def test_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    read = given("apply", "all", "-c", "c", "-H", "log", "--root", "r", "-d", "my folder")
    assert (read["cache"], read["log_handler"], read["root"]) == tuple(
        f"{tmp_path}/{name}" for name in ("c", "log", "r")
    )
    assert read["configurators"] == (f"{tmp_path}/my folder",)


def test_lists_are_repeatable_or_have_commas() -> None:
    read = given("daemon", "--channel", "xenstore", "--channel", "unix:/a b", "--allow-commands", "a,b", "start")
    assert read["channels"] == ("xenstore", "unix:/a b")
    assert read["allow_commands"] == ("a", "b")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["daemon", "-d", "/one", "/two", "status"], 3),
        (["-d", "/one", "/two", "daemon", "status"], 3),
        (["daemon", "-d", "/one", "-d", "./status", "status"], 3),
        (["apply", "-d", "/one", "/two", "all"], 0),
        (["-d", "/one", "/two", "apply", "hosts", "resolvers"], 0),
    ],
)
def test_a_command_or_an_action_may_follow_the_folders(arguments: list[str], code: int, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    words = [f"{tmp_path}{word}" if word.startswith("/") else word for word in arguments]
    assert cli.main(["--root", str(tmp_path), *words]) == code


def test_without_a_command_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "apply" in capsys.readouterr().err


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"singularity {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["daemon"], "the daemon needs an action: start, stop"),
        (["daemon", "jump"], "'jump' is no action of the daemon: start, stop"),
        (["apply", "hosts", "--vm-data", "-"], "--vm-data goes with the action network"),
    ],
)
def test_a_mistake_is_said_with_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["--root", str(tmp_path), *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"singularity: {said}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["apply"], "the following arguments are required: ACTION"),
        (["apply", "moon"], "invalid choice: 'moon'"),
        (["daemon", "-l", "loud", "start"], "loglevel is 'loud'; it can be debug"),
        (["daemon", "-F", "everything", "start"], "functions has 'everything'; it can be all"),
        (["daemon", "--channel", "tcp:1", "start"], "'tcp:1' is no channel"),
        (["fly"], "invalid choice: 'fly'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_what_is_no_option_or_value_ends_with_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_the_daemons_state_is_told_by_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = {action: cli.main(["daemon", "--root", str(tmp_path), action]) for action in ("status", "stop", "reload")}
    assert codes == {"status": 3, "stop": 0, "reload": 7}
