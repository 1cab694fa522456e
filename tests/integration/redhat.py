"""Tiny RPM packages, built on a lab machine, and the repositories of them that each machine's dnf knows."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import Lab
from lab.host import LabHost

PACKAGES = ("createrepo-c", "dnf", "dnf-plugins-core", "rpm")
"""What Debian calls the programs that the machines need."""
REPOSITORIES = "srv/repositories"
SPEC = """\
Name: {name}
Version: {version}
Release: 1
Summary: has nothing in it
License: MIT
BuildArch: noarch
{preamble}
%description
Has nothing in it.
%files
"""
UPDATEINFO = """\
<?xml version="1.0" encoding="UTF-8"?>
<updates>
  <update from="test@example.org" status="final" type="security" version="1">
    <id>TEST-{name}-{version}</id><title>{name}</title><severity>Important</severity>
    <issued date="2026-11-01 00:00:00"/><description>{name}</description><references/>
    <pkglist><collection short="test"><name>test</name>
      <package name="{name}" version="{version}" release="1" epoch="0" arch="noarch" src="{name}-{version}-1.src.rpm">
        <filename>{name}-{version}-1.noarch.rpm</filename>
      </package>
    </collection></pkglist>
  </update>
</updates>
"""


def build(host: LabHost, packages: dict[tuple[str, str], str]) -> None:
    """Build packages on a machine: (name, version) to further lines of the preamble, such as `Requires:`."""
    folder = host.root / "srv/build"
    folder.mkdir(parents=True)
    for (name, version), preamble in packages.items():
        (folder / f"{name}-{version}.spec").write_text(SPEC.format(name=name, version=version, preamble=preamble))
    specs = [f"/srv/build/{name}-{version}.spec" for name, version in packages]
    host.run(["rpmbuild", "--quiet", "--define=_topdir /srv/build", "-bb", *specs], capture_output=True)


def publish(host: LabHost, releasever: str, packages: list[tuple[str, str]], security: tuple[str, str]) -> None:
    """Make a repository, on the machine that built them; `security` is what a security update in it is for."""
    folder = host.root / REPOSITORIES / releasever
    folder.mkdir(parents=True)
    for package in packages:
        shutil.copy(_built(host, package), folder)
    host.run(["createrepo_c", "--quiet", f"/{REPOSITORIES}/{releasever}"], capture_output=True)
    name, version = security
    (folder / "updateinfo.xml").write_text(UPDATEINFO.format(name=name, version=version))
    inside = f"/{REPOSITORIES}/{releasever}"
    host.run(
        ["modifyrepo_c", "--mdtype=updateinfo", f"{inside}/updateinfo.xml", f"{inside}/repodata"], capture_output=True
    )


def equip(lab: Lab, installed: list[tuple[str, str]], releasever: str) -> None:
    """Install packages on every machine, and let its dnf know the repositories; the first machine has made both.

    The machines are started again: what was installed after the boot would count as needing another one.
    """
    maker = lab.hosts[0]
    for host in lab.hosts:
        if host is not maker:
            shutil.copytree(maker.root / REPOSITORIES, host.root / REPOSITORIES)
        for path, content in {
            "etc/rpm/macros": "%_dbpath /var/lib/rpm\n",  # Debian's is in the home folder
            "etc/dnf/plugins/local.conf": "[main]\nenabled = false\n",  # a repository of all that was ever installed
            "etc/dnf/vars/releasever": f"{releasever}\n",
            "etc/yum.repos.d/test.repo": (
                f"[test]\nname=test\nbaseurl=file:///{REPOSITORIES}/$releasever\nenabled=1\ngpgcheck=0\n"
            ),
        }.items():
            (host.root / path).parent.mkdir(parents=True, exist_ok=True)
            (host.root / path).write_text(content)
        for package in installed:
            shutil.copy(_built(maker, package), host.root / "root")
        files = [f"/root/{_file(package)}" for package in installed]
        host.run(["rpm", "--install", "--force-debian", *files], capture_output=True)
        host.power_off()
        host.power_on()
    for host in lab.hosts:
        host.wait_for_ssh()


def reset(host: LabHost, installed: list[tuple[str, str]]) -> None:
    """Let a machine have these packages, which `equip` left there, and no others."""
    files = [f"/root/{_file(package)}" for package in installed]
    command = ["rpm", "--upgrade", "--oldpackage", "--replacepkgs", "--nodeps", "--force-debian"]
    host.run([*command, *files], capture_output=True)
    if others := sorted({*packages(host)} - {name for name, _ in installed}):
        host.run(["rpm", "--erase", *others], capture_output=True)


def leave_only(host: LabHost, *programs: Path) -> None:
    """Take the package managers of a machine away, and give it these programs with the libraries they need."""
    for name in ("dnf", "apt-get"):
        (host.root / "usr/bin" / name).unlink()
    for program in programs:
        shutil.copy(program, host.root / "usr/bin")  # where libzypp looks for its helpers
        needs = subprocess.run(["ldd", program], check=False, capture_output=True, text=True).stdout
        for library in re.findall(r"=> /(\S+)", needs):
            if not (host.root / library).exists():
                shutil.copy(Path("/", library), host.root / "usr/local/lib")
    host.run(["ldconfig"])


def equip_with_zypper(host: LabHost, releasever: str) -> None:
    """Make zypper a machine's package manager: the real one of this computer."""
    if not (zypper := shutil.which("zypper")):
        pytest.skip("no zypper here: apt-get install zypper")
    leave_only(host, Path(zypper), *(Path("/usr/bin", name) for name in ("rpmdb2solv", "rpmmd2solv", "repo2solv")))
    repository = host.root / "etc/zypp/repos.d/test.repo"
    repository.parent.mkdir(parents=True)
    repository.write_text(
        f"[test]\nname=test\nenabled=1\nautorefresh=1\ntype=rpm-md\ngpgcheck=0\n"
        f"baseurl=file:///{REPOSITORIES}/${{releasever:-{releasever}}}\n"
    )


def packages(host: LabHost) -> dict[str, str]:
    """Return every RPM package of a machine with its version, as rpm itself has it."""
    done = host.run(["rpm", "-qa", "--queryformat", "%{NAME} %{VERSION}\\n"], capture_output=True, text=True)
    return dict(line.split() for line in done.stdout.splitlines())


def _file(package: tuple[str, str]) -> str:
    return f"{'-'.join(package)}-1.noarch.rpm"


def _built(host: LabHost, package: tuple[str, str]) -> Path:
    return host.root / "srv/build/RPMS/noarch" / _file(package)
