"""The guest agent: a daemon inside a virtual machine that does what its hypervisor asks of it.

It runs on Python 3.8 and newer with the standard library alone, as one file (`python3 -m zipapp`).
"""

__version__ = "1.0.0"
