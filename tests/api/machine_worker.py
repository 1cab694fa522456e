"""A worker that does with libvirt's test driver what playbooks do with a hypervisor; nothing is installed there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlmodel import select

from api.conftest import Fleet, checkpoint
from commissaire.fleet.hypervisors import record_local
from commissaire.machines.link import bindings
from commissaire.records import OF_MACHINES, Operation, OperationKind, OperationState

URI = "test:///default"
MACHINE = "<domain type='test'><name>{name}</name><memory>1024</memory><os><type>hvm</type></os></domain>"
NETWORK = "<network><name>{name}</name></network>"


@contextmanager
def working(fleet: Fleet) -> Iterator[None]:
    """Let a hypervisor be recorded, and what is asked for on it be done by a thread. What was made there is removed."""
    pytest.importorskip("libvirt", reason="libvirt-python is not installed; install libvirt-dev, then make setup")
    with fleet.services.database.write() as session:
        record_local(session, fleet.services.secrets, URI)
    ended = threading.Event()
    connection = bindings().open(URI)  # while one is open, all others see the same machines
    thread = threading.Thread(target=_work, args=(fleet, connection, ended))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        connection.close()
        for hypervisor in fleet.client.get("/api/v1/hypervisors").json()["items"]:
            fleet.services.hypervisors.forget(hypervisor["name"])  # or later tests see their machines


def _work(fleet: Fleet, connection: object, ended: threading.Event) -> None:
    while not ended.is_set():
        claim = fleet.services.dispatcher.claim(OF_MACHINES, 0.05)
        if claim is None:
            continue
        with fleet.services.database.read() as session:
            operation = session.exec(select(Operation).where(Operation.id == claim.operation_id)).one()
        where, point, state = _do(connection, operation)
        fleet.journal(claim, operation.kind).write([checkpoint(where, "done", **point)])
        fleet.end(claim.operation_id, state, point.get("message", ""))


def _do(connection, operation):  # type: ignore[no-untyped-def]  # libvirt has no types
    """Do it; return the row's name, its last checkpoint, and how the operation ends."""
    name = operation.parameters.get("name", "")
    of_machine = operation.kind in (OperationKind.VM_CREATE, OperationKind.VM_REMOVE)
    where = name if of_machine else operation.parameters["hypervisor"]
    try:
        if operation.kind == OperationKind.VM_PROBE:
            return where, {"state": "finished", "uri": URI, "virt_type": "qemu"}, OperationState.FINISHED
        if operation.kind == OperationKind.VM_CREATE:
            connection.defineXML(MACHINE.format(name=name))
        elif operation.kind == OperationKind.VM_REMOVE:
            connection.lookupByName(name).undefine()
        elif operation.kind == OperationKind.VM_NETWORK_CREATE:
            if name in connection.listDefinedNetworks() + connection.listNetworks():
                return where, {"state": "failed", "message": "is there", "exists": True}, OperationState.FAILED
            connection.networkDefineXML(NETWORK.format(name=name)).create()
        else:
            network = connection.networkLookupByName(name)
            network.destroy()
            network.undefine()
    except bindings().libvirtError as error:
        return where, {"state": "failed", "message": str(error)}, OperationState.FAILED
    return where, {"state": "finished"}, OperationState.FINISHED
