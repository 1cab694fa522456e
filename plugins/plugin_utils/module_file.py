# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an action does that runs its own module with a file beside it, which is on the controller only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible.plugins.action import ActionBase


def run_with_file(
    action: ActionBase, task_vars: dict[str, Any], option: str = "", content: bytes = b"", **more: Any
) -> dict[str, Any]:
    """Return what the action's module says, which is told by `option` where the content is; without it as it is."""
    arguments = {**action._task.args}
    try:
        if option:
            shell = action._connection._shell
            path = shell.join_path(shell.tmpdir, option)
            action._transfer_data(path, content)
            action._fixup_perms2((shell.tmpdir, path))
            arguments.update({**more, option: path})
        result: dict[str, Any] = action._execute_module(module_args=arguments, task_vars=task_vars)
    finally:
        action._remove_tmp_path(action._connection._shell.tmpdir)
    return result


def speaks_qemu(arguments: Mapping[str, Any]) -> bool:
    """Return whether these options of the fragment `guest` lead to an agent of the QEMU guest agent's dialect."""
    transport = arguments.get("transport") or "libvirt"
    return transport == "libvirt" or (transport == "socket" and (arguments.get("dialect") or "qemu") == "qemu")
