# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How modules reach the guest agent within a virtual machine."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of every module that asks a guest agent."""

    DOCUMENTATION = r"""
options:
  name:
    description:
      - The machine's name, as libvirt has it, or as xenstore does.
      - With O(transport=socket) it is only what messages call the machine.
    type: str
  uuid:
    description: The UUID that libvirt's machine must have, so that none is taken for it that has its name by now.
    type: str
  transport:
    description:
      - How the agent is reached from where the module runs.
      - V(libvirt) asks libvirt, by the channel C(org.qemu.guest_agent.0) of a machine of QEMU's.
      - V(xenstore) asks by xenstore, as hosts of OpenStack's XenAPI driver do.
      - V(socket) connects to a unix socket of the agent's, or to that of a character device of QEMU's.
    type: str
    choices: [libvirt, xenstore, socket]
    default: libvirt
  uri:
    description: The connection to libvirt, as libvirt writes it, from where the module runs. For V(libvirt).
    type: str
    default: qemu:///system
  uri_username:
    description: Who signs in, where the hypervisor asks by SASL.
    type: str
    default: ""
  uri_password:
    description: The password that belongs to O(uri_username).
    type: str
    default: ""
  uri_private_key_file:
    description:
      - The private key for C(qemu+ssh), a file where the module runs, or the public half of one that an ssh agent has.
        Without it ssh looks for one as ever.
    type: path
  uri_known_hosts_file:
    description:
      - The keys of the hypervisor's SSH server for C(qemu+ssh), as in C(known_hosts). Without it they are looked up as
        ssh does. With this or O(uri_private_key_file) a hypervisor whose key is not known is never trusted.
    type: path
  uri_pki_path:
    description:
      - The folder, where the module runs, with the certificates for C(qemu+tls), which are C(cacert.pem),
        C(clientcert.pem) and C(clientkey.pem). Without it they are where libvirt looks for them.
    type: path
  domid:
    description: The number of the Xen domain, instead of O(name). For V(xenstore).
    type: int
  socket:
    description:
      - The unix socket, which must be given for V(socket).
      - For V(xenstore) it is that of xenstored, without it V(/var/run/xenstored/socket).
    type: path
  dialect:
    description:
      - Which dialect the agent speaks on O(socket), with O(transport=socket). Otherwise the transport tells.
      - V(qemu) is that of the QEMU guest agent, which is spoken by way of libvirt, too.
      - V(nova) is that of OpenStack's XenAPI hosts, which is spoken by way of xenstore, too.
    type: str
    choices: [qemu, nova]
    default: qemu
  value_limit:
    description:
      - How many bytes a value in xenstore may have, V(2048) on hosts whose xenstored is the one in OCaml.
      - Without it a value may have as many as fit, 4096 with its path.
    type: int
  timeout_seconds:
    description: How long the agent may take to answer.
    type: int
    default: 30
requirements:
  - libvirt-python, where the module runs, for O(transport=libvirt)
  - an agent that runs within the machine, C(qemu-guest-agent) or Commissaire's (role C(guest_agent))
"""
