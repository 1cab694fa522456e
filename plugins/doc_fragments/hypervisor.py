# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How modules reach a hypervisor."""

from __future__ import annotations


class ModuleDocFragment:
    """The options that say which hypervisor, and with which credentials it is reached."""

    DOCUMENTATION = r"""
options:
  uri:
    description: The connection to libvirt, as libvirt writes it, from where the module runs.
    type: str
    default: qemu:///system
  username:
    description: Who signs in, where the hypervisor asks by SASL, as it does over C(qemu+tcp) and may over C(qemu+tls).
    type: str
    default: ""
  password:
    description: The password that belongs to O(username).
    type: str
    default: ""
  private_key_file:
    description:
      - The private key for C(qemu+ssh), a file where the module runs. Without it ssh looks for one as ever.
      - With the public half of a key, the one that an ssh agent has is used.
    type: path
  known_hosts_file:
    description:
      - The keys of the hypervisor's SSH server for C(qemu+ssh), as in C(known_hosts). Without it they are looked up as
        ssh does.
      - With this or O(private_key_file) a hypervisor whose key is not known is never trusted.
    type: path
  pki_path:
    description:
      - The folder, where the module runs, with the certificates for C(qemu+tls), which are C(cacert.pem),
        C(clientcert.pem) and C(clientkey.pem). Without it they are where libvirt looks for them.
    type: path
requirements:
  - libvirt-python, where the module runs
"""
