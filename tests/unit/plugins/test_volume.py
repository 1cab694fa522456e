"""What the XML of libvirt's volumes says, and how large they become."""

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.volume import (
    GIB,
    Volume,
    capacity_of,
    plan_capacity,
    read_volume,
    volume_xml,
)

BASE = Volume("base", "/images/base", GIB, 0, "raw")


def test_a_new_volume_takes_no_room_yet():
    assert read_volume(volume_xml("web-sda", 8 * GIB, "qcow2")) == Volume("web-sda", "", 8 * GIB, 0, "qcow2")


def test_a_copy_on_write_names_what_it_is_a_copy_of():
    assert read_volume(volume_xml("web-sda", GIB, "qcow2", BASE)).backing == "/images/base"


def test_a_name_is_no_markup():
    assert "<name>a&lt;b&gt;&amp;</name>" in volume_xml("a<b>&", GIB, "raw")


@pytest.mark.parametrize(
    ("size_gb", "bytes_"), [(None, None), (1, None), (1.001, None), (1.5, GIB * 3 // 2), (2, 2 * GIB)]
)
def test_a_volume_grows(size_gb, bytes_):
    assert plan_capacity(BASE, size_gb) == bytes_


def test_a_size_is_whole_mib_and_again_what_was_made_of_it():
    made = capacity_of(2.2)
    assert made % 1024**2 == 0
    assert plan_capacity(Volume("v", "", made, 0, "qcow2"), 2.2) is None


def test_a_volume_is_never_shrunk():
    with pytest.raises(ValueError, match=r"it has 1 GiB and is not shrunk to 0\.5"):
        plan_capacity(BASE, 0.5)
