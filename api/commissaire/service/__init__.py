"""For services of one's own: listen to changes, read and write records, answer calls on the message bus.

docs/services.md has an example. This package knows the server by REST and by the bus only.
"""

from commissaire.service.client import BusClient, NoAnswer, RemoteError
from commissaire.service.records import Cluster, ContainerManager, Host, Network, Operation, OperationHost
from commissaire.service.service import Service
from commissaire.service.settings import ServiceSettings
from commissaire.service.storage import ANY, CREATED, DELETED, UPDATED, NotFound, StorageClient, StorageError

__all__ = [
    "ANY",
    "CREATED",
    "DELETED",
    "UPDATED",
    "BusClient",
    "Cluster",
    "ContainerManager",
    "Host",
    "Network",
    "NoAnswer",
    "NotFound",
    "Operation",
    "OperationHost",
    "RemoteError",
    "Service",
    "ServiceSettings",
    "StorageClient",
    "StorageError",
]
