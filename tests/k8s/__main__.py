"""`PYTHONPATH=tests python -m k8s`: build the programs of Kubernetes that the tests run, where they aren't there."""

import sys

from .programs import EARLIER_KUBELET, BuildError, obstacle, programs

if why := obstacle():
    print(f"kubernetes: {why}; the tests with a real Kubernetes are skipped", file=sys.stderr)
    sys.exit(0)
try:
    print(programs())
    print(EARLIER_KUBELET.made())
except BuildError as error:
    sys.exit(f"kubernetes: {error}")
