"""Register the machine that runs this with Commissaire. `commctl user-data` makes it travel in user-data.

cloud-init calls it as a part handler, before sshd has its keys. So it only lays down what it was given, and a service
that runs this same file as a program: over reboots, too, until the server has taken the machine.
Runs on Python 3.6 and newer, with the standard library alone.
"""

import base64
import json
import os
import pwd
import shutil
import ssl
import subprocess
import sys
import time
from http.client import HTTPException
from typing import Any, Dict, List
from urllib.error import HTTPError
from urllib.request import Request, urlopen

SETTINGS = "/var/lib/commissaire/register.json"
PROGRAM = "/var/lib/commissaire/register.py"
SUDOERS = "/etc/sudoers.d/commissaire"
NAME = "commissaire-register.service"
UNIT = f"/etc/systemd/system/{NAME}"
# DefaultDependencies=no: else its start, in the midst of a boot, would start what sysinit.target wants a second time.
SERVICE = """[Unit]
Description=Register this machine with Commissaire
ConditionPathExists={settings}
DefaultDependencies=no
After=basic.target network-online.target cloud-init.service cloud-init-network.service
After=ssh.service sshd.service ssh.socket
Conflicts=shutdown.target
Before=shutdown.target

[Service]
ExecStart={python} {program}
StandardOutput=journal+console

[Install]
WantedBy=multi-user.target
"""
KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
LONGEST_WAIT_SECONDS = 60
NEXT_STEP = f"Mend that, here in {SETTINGS}, then: systemctl restart {NAME}; the next boot tries it, too"


def list_types() -> List[str]:
    """Return the parts of user-data that this handles (cloud-init asks)."""
    return ["text/x-commissaire-host"]


def handle_part(_data: Any, content_type: str, _filename: str, payload: str) -> None:
    """Take the settings from user-data (cloud-init calls this once an instance), and start the service."""
    if content_type not in list_types():
        return  # how cloud-init says that it begins and ends
    json.loads(payload)
    os.makedirs(os.path.dirname(SETTINGS), mode=0o700, exist_ok=True)
    write(SETTINGS, payload, 0o600)
    shutil.copyfile(__file__, PROGRAM)
    write(UNIT, SERVICE.format(settings=SETTINGS, python=sys.executable, program=PROGRAM), 0o644)
    for command in (["daemon-reload"], ["enable", "--quiet", NAME], ["restart", "--no-block", NAME]):
        subprocess.check_call(["systemctl", *command])


def main() -> None:
    """Do what the settings say, and forget them when the server has taken the machine: they hold a password."""
    with open(SETTINGS, encoding="utf-8") as file:
        settings = json.load(file)
    user = settings["remote_user"]
    account = ensure_account(user)
    key_path = os.path.expanduser(settings["ssh_key_path"])
    public = ensure_key(key_path, account)
    authorize(os.path.expanduser(settings["authorized_keys_path"]), public, account)
    with open(key_path, "rb") as file:
        private = base64.b64encode(file.read()).decode()
    body = {"ssh_priv_key": private, "remote_user": user, "ssh_host_key": wait_for_host_key()}
    if settings.get("cluster"):
        body["cluster"] = settings["cluster"]
    register(settings, body)
    os.remove(SETTINGS)


def ensure_account(user: str) -> pwd.struct_passwd:
    """Return the account of *user*; one that has to be made may use sudo without a password."""
    try:
        return pwd.getpwnam(user)
    except KeyError:
        if os.path.isdir(os.path.dirname(SUDOERS)):
            write(SUDOERS, f"{user} ALL=(ALL) NOPASSWD: ALL\n", 0o440)
        subprocess.check_call(["useradd", "--create-home", "--shell", "/bin/sh", "--", user])
        return pwd.getpwnam(user)


def ensure_key(path: str, account: pwd.struct_passwd) -> str:
    """Return the public half of the private key *path*, which is made when it isn't there."""
    if not os.path.exists(path):
        ensure_folder(os.path.dirname(path), account)
        subprocess.check_call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "commissaire", "-f", path])
        for made in (path, f"{path}.pub"):
            os.chown(made, account.pw_uid, account.pw_gid)
    command = ["ssh-keygen", "-y", "-P", "", "-f", path]
    return subprocess.check_output(command, universal_newlines=True).strip()


def authorize(path: str, public: str, account: pwd.struct_passwd) -> None:
    """Let the owner of the *public* key in."""
    ensure_folder(os.path.dirname(path), account)
    new = not os.path.exists(path)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "r+", encoding="utf-8") as file:
        if new:
            os.fchown(file.fileno(), account.pw_uid, account.pw_gid)
        text = file.read()
        if public.split()[1] not in text.split():
            file.write(("" if text.endswith("\n") or not text else "\n") + public + "\n")
    if shutil.which("restorecon"):  # SELinux: sshd reads only what is labelled as such
        subprocess.check_call(["restorecon", "-R", os.path.dirname(path)])


def ensure_folder(path: str, account: pwd.struct_passwd) -> None:
    """Make the folder *path* for *account* when it isn't there."""
    if not os.path.isdir(path):
        os.makedirs(path, mode=0o700)
        os.chown(path, account.pw_uid, account.pw_gid)


def wait_for_host_key() -> str:
    """Return sshd's own public key, as soon as it has one: the server will believe no other."""
    wait = 1
    while True:
        found = host_keys()
        if found:
            return found[0]
        say("waiting for sshd's host keys")
        time.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)


def host_keys() -> List[str]:
    """Return the public keys that sshd shows, the best first."""
    sshd = shutil.which("sshd")  # which wants to be called by its whole path
    if not sshd:
        return []
    asked = subprocess.Popen([sshd, "-T"], stdout=subprocess.PIPE, universal_newlines=True)
    keys = []
    for line in asked.communicate()[0].splitlines():
        name, _, path = line.partition(" ")
        if name == "hostkey" and os.path.exists(f"{path}.pub"):
            with open(f"{path}.pub", encoding="utf-8") as file:
                keys.append(" ".join(file.read().split()[:2]))
    return sorted((key for key in keys if key.split()[0] in KINDS), key=lambda key: KINDS.index(key.split()[0]))


def register(settings: Dict[str, str], body: Dict[str, str]) -> None:
    """Tell the server of this machine; wait for a server that is away, end at one that refuses."""
    wait = 1
    while True:
        try:
            say(f"registered as {put(settings, body)['address']}")
            return
        except HTTPError as error:
            reason = f"{error.code} {error.reason}: {error.read(2000).decode('utf-8', 'replace')}"
            if error.code < 500 and error.code != 429:
                raise SystemExit(f"commissaire: {settings['endpoint']} refused: {reason}\n{NEXT_STEP}") from None
        except (OSError, HTTPException, ValueError, KeyError) as error:
            reason = str(error) or repr(error)
        say(f"{settings['endpoint']} does not take this machine ({reason}); again in {wait} s")
        time.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)


def put(settings: Dict[str, str], body: Dict[str, str]) -> Dict[str, str]:
    """PUT *body* to /api/v0/host, which takes the address from the connection; return the host's record."""
    pair = f"{settings['username']}:{settings['password']}".encode()
    headers = {"Authorization": "Basic " + base64.b64encode(pair).decode(), "Content-Type": "application/json"}
    url = settings["endpoint"] + "/api/v0/host"
    trusted = ssl.create_default_context(cadata=settings.get("certificate_authority") or None)
    request = Request(url, json.dumps(body).encode(), headers, method="PUT")  # noqa: S310
    with urlopen(request, timeout=60, context=trusted) as answer:  # noqa: S310
        record: Dict[str, str] = json.loads(answer.read().decode())
        return record


def write(path: str, text: str, mode: int) -> None:
    """Write *text* to *path*, which never has another *mode*."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)


def say(text: str) -> None:
    """Write a line to the journal and the console."""
    print(f"commissaire: {text}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"commissaire: {error!r}\n{NEXT_STEP}") from None
