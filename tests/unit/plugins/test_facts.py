"""What the probe of the role investigate says, and what is read from it."""

import subprocess
from pathlib import Path

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.facts import read_facts

PROBE = Path(__file__).parents[3] / "roles/investigate/files/probe.sh"
NOTHING = {
    "os": "", "os_version": "", "os_family": "", "cpus": None, "memory_kb": None, "space_bytes": None, "kernel": "",
    "boot_id": "", "machine_id": "", "hostname": "", "python": None, "python_version": None, "system_state": "none",
    "login": "", "privileged": False, "package_manager": None, "atomic": False, "bootc": False,
    "virtualization": "none",
}  # fmt: skip
SECTIONS = [
    *(
        "os_release",
        "kernel",
        "hostname",
        "boot_id",
        "machine_id",
        "cpus",
        "memory",
        "filesystems",
        "ostree",
        "bootc",
        "python",
    ),
    *("system_state", "privileged", "login", "package_manager", "virtualization"),
]


def output(**sections):
    """Return what the probe prints, through a terminal."""
    told = "".join(f"\n== {name}\n{sections.get(name, '')}\n" for name in [*SECTIONS, "end"])
    return told.replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("sections", "facts"),
    [
        ({}, {}),
        (
            {"os_release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian == 12"'},
            {"os": "debian", "os_version": "12", "os_family": "debian"},
        ),
        (
            {"os_release": 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=41'},
            {"os": "fedora", "os_version": "41", "os_family": "redhat"},
        ),
        (
            {"os_release": 'ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"'},
            {"os": "rhel", "os_version": "9.4", "os_family": "redhat"},
        ),
        (
            {"os_release": 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"'},
            {"os": "rocky", "os_version": "9.4", "os_family": "redhat"},
        ),
        (
            {"os_release": 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"'},
            {"os": "opensuse-leap", "os_version": "15.6", "os_family": "suse"},
        ),
        ({"os_release": "ID=sles\nVERSION_ID=15.6"}, {"os": "sles", "os_version": "15.6", "os_family": "suse"}),
        (
            {"os_release": "ID=alpine\nVERSION_ID=3.20.1"},
            {"os": "alpine", "os_version": "3.20.1", "os_family": "alpine"},
        ),
        ({"os_release": "ID=arch"}, {"os": "arch", "os_family": "arch"}),
        ({"os_release": "ID=plan9\nVERSION_ID='4"}, {"os": "plan9", "os_version": "'4"}),
        (
            {"os_release": "ID=fedora\nVERSION_ID=41", "ostree": "yes", "package_manager": "rpm-ostree"},
            {
                "os": "atomic",
                "os_version": "41",
                "os_family": "redhat",
                "atomic": True,
                "package_manager": "rpm-ostree",
            },
        ),
        ({"ostree": "yes", "bootc": "yes"}, {"os": "atomic", "atomic": True, "bootc": True}),
        ({"python": "/usr/bin/python3 3.11.2"}, {"python": "/usr/bin/python3", "python_version": "3.11.2"}),
        ({"memory": "MemTotal:       24684096 kB", "cpus": "8"}, {"memory_kb": 24684096, "cpus": 8}),
        ({"cpus": "getconf: not found"}, {}),
        ({"privileged": "yes", "login": "operator"}, {"privileged": True, "login": "operator"}),
        ({"system_state": "degraded", "virtualization": "kvm"}, {"system_state": "degraded", "virtualization": "kvm"}),
    ],
)
def test_facts_are_read_from_all_kinds_of_hosts(sections, facts):
    assert read_facts(output(**sections)) == {**NOTHING, **facts}


@pytest.mark.parametrize(
    ("filesystems", "kilobytes"),
    [
        ("/dev/sda1 1000 10 990 2% /\n/dev/sdb1 500 1 499 1% /srv", 1500),
        ("/dev/sda1 1000 10 990 2% /\n/dev/sda1 1000 10 990 2% /var/lib/docker\n/dev/sda2 7 1 6 1% /a dir", 1007),
        ("overlay 700 10 690 2% /\noverlay 700 10 690 2% /other\ntmpfs 50 0 50 0% /tmp", 700),
        ("/dev/loop0 60 60 0 100% /snap/core\nnas:/home 9000 1 8999 1% /home\nudev 5 0 5 0% /dev", None),
        ("zroot/ROOT 300 1 299 1% /", 300),
        ("Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 10 - - - /", 10),
    ],
)
def test_space_counts_each_device_once_and_the_root_always(filesystems, kilobytes):
    assert read_facts(output(filesystems=filesystems))["space_bytes"] == (kilobytes * 1024 if kilobytes else None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the host said: nothing"),
        ("\n== os_release\nID=debian\n", "ID=debian"),
        ("This account is currently not available.", "This account is currently not available."),
    ],
)
def test_a_probe_that_was_cut_short_is_an_error_with_the_hosts_words(text, said):
    with pytest.raises(ValueError, match="ends early") as caught:
        read_facts(text)
    assert said in str(caught.value)


def test_the_probe_itself_runs_in_a_posix_shell():
    done = subprocess.run(["/bin/sh", str(PROBE)], capture_output=True, text=True, check=True)
    facts = read_facts(done.stdout)
    assert facts.keys() == NOTHING.keys()
    assert facts["cpus"] > 0
    assert facts["space_bytes"] > 0
    assert facts["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
