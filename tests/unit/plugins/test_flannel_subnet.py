"""The file in which flannel tells a host's subnet."""

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.commissaire.fleet.plugins.filter.flannel_subnet import flannel_subnet

TEXT = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.72.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ={}\n"


@pytest.mark.parametrize(("said", "masquerades"), [("true", True), ("false", False)])
def test_the_subnet_is_that_of_the_address(said, masquerades):
    assert flannel_subnet(TEXT.format(said)) == {"subnet": "10.5.72.0/24", "mtu": 1450, "masquerades": masquerades}


@pytest.mark.parametrize("text", ["", "nonsense", "FLANNEL_SUBNET=10.5.72.1/24", "FLANNEL_SUBNET=x\nFLANNEL_MTU=1"])
def test_another_file_is_an_error(text):
    with pytest.raises(AnsibleFilterError, match="flannel has not told its subnet and MTU"):
        flannel_subnet(text)
