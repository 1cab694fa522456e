# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation that our actions on Kubernetes share."""

from __future__ import annotations


class ModuleDocFragment:
    """The options by which an action gets to an API server."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description: A file that says where the API server is, and with which credentials to ask it.
    type: path
    required: true
  context:
    description: Another of its contexts than the current one.
    type: str
    default: ""
"""
