"""What a Node object tells and how it is cordoned, from tables."""

import json

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.kubernetes_client import NodeRow
from ansible_collections.commissaire.fleet.plugins.plugin_utils.node import (
    CORDONED,
    Holder,
    LostError,
    cordoned_by,
    find_row,
    is_left_over,
    is_other_machine,
    not_ready,
    plan_cordon,
    plan_uncordon,
)

ME = Holder(7, "12-1.0", "ann")


def node(cordoned=False, holder=None, conditions=(), **info):
    annotations = {CORDONED: holder if isinstance(holder, str) else json.dumps(vars(holder))} if holder else {}
    return {
        "metadata": {"resourceVersion": "42", "annotations": annotations},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {"conditions": list(conditions), "nodeInfo": info},
    }


def ready(status, **told):
    return {"type": "Ready", "status": status, **told}


def test_a_node_is_cordoned_in_our_name_and_only_as_it_was_read():
    patch, ours = plan_cordon(node(), ME)
    assert ours
    assert patch["metadata"]["resourceVersion"] == "42"
    assert patch["spec"] == {"unschedulable": True}
    after = node(cordoned=True, holder=patch["metadata"]["annotations"][CORDONED])
    assert cordoned_by(after) == ME


def test_a_cordon_of_somebody_else_stays_theirs():
    assert plan_cordon(node(cordoned=True), ME) == (None, False)
    assert plan_uncordon(node(cordoned=True), ME) is None


def test_a_cordon_of_ours_is_kept_when_the_same_run_goes_on():
    assert plan_cordon(node(cordoned=True, holder=ME), ME) == (None, True)


@pytest.mark.parametrize("left_over", [Holder(6, "12-1.0", "ann"), Holder(3, "9-1.0", "bob"), "{not JSON"])
def test_a_cordon_that_another_run_of_ours_left_becomes_that_of_who_has_the_lease(left_over):
    patch, ours = plan_cordon(node(cordoned=True, holder=left_over), ME)
    assert ours
    assert json.loads(patch["metadata"]["annotations"][CORDONED])["token"] == 7


def test_an_annotation_alone_is_no_cordon():
    assert cordoned_by(node(cordoned=False, holder=ME)) is None
    assert plan_cordon(node(cordoned=False, holder=Holder(3)), ME)[1]


def test_only_who_cordoned_takes_it_back():
    cordoned = node(cordoned=True, holder=ME)
    patch = plan_uncordon(cordoned, ME)
    assert (patch["spec"], patch["metadata"]["annotations"]) == ({"unschedulable": False}, {CORDONED: None})
    assert plan_uncordon(cordoned, Holder(8, "12-1.0", "ann")) is None


def test_a_node_that_somebody_uncordoned_meanwhile_stays_as_it_is():
    assert plan_uncordon(node(cordoned=False, holder=ME), ME) is None


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (node(conditions=[ready("True")], bootID="b2"), ""),
        (node(conditions=[ready("True")], bootID="b1"), "its kubelet has not reported since the host booted"),
        (node(conditions=[ready("True")]), "it told of boot none"),
        (node(bootID="b2"), "its kubelet has told nothing yet"),
        (node(conditions=[{"type": "DiskPressure", "status": "True"}], bootID="b2"), "has told nothing yet"),
        (
            node(conditions=[ready("False", reason="KubeletNotReady", message="no CNI")], bootID="b2"),
            "KubeletNotReady: no CNI",
        ),
        (node(conditions=[ready("Unknown")], bootID="b2"), "NotReady: no reason given"),
    ],
)
def test_a_node_is_ready_by_what_its_kubelet_told_since_the_boot(found, why):
    told = not_ready(found, "b2")
    assert why in told
    assert bool(why) == bool(told)


def test_without_a_boot_id_any_boot_will_do():
    assert not not_ready(node(conditions=[ready("True")], bootID="b1"), "")


def test_a_node_of_another_machine_is_told():
    assert is_other_machine(node(machineID="aa"), "bb") == "aa"
    assert not is_other_machine(node(machineID="bb"), "bb")
    assert is_other_machine(node(machineID="aa"), "") == "aa", "a host that does not say which machine it is"
    assert not is_other_machine(node(), "bb"), "a kubelet that told nothing yet"


def owned(manager):
    """A node with the annotation of an earlier run, that *manager* cordoned last."""
    found = node(cordoned=True, holder=Holder(3, "9-1.0", "bob"))
    found["metadata"]["managedFields"] = [{"manager": manager, "fieldsV1": {"f:spec": {"f:unschedulable": {}}}}]
    return found


def test_an_annotation_that_is_left_over_makes_nobody_s_cordon_ours():
    assert plan_cordon(owned("kubectl-cordon"), ME) == (None, False)
    assert plan_cordon(owned("commissaire.fleet"), ME)[1]


def test_a_run_that_lost_its_lease_takes_no_cordon_over():
    with pytest.raises(LostError, match="it is cordoned for bob, who holds the host's lease since"):
        plan_cordon(node(cordoned=True, holder=Holder(8, "13-1.0", "bob")), ME)


@pytest.mark.parametrize(
    ("before", "left"),
    [(ME, False), (Holder(6, "12-1.0", "ann"), False), (Holder(6, "11-1.0", "ann"), True), (Holder(6), True)],
)
def test_a_cordon_that_another_operation_left_is_known(before, left):
    assert is_left_over(node(cordoned=True, holder=before), ME) is left
    assert not is_left_over(node(), ME)
    assert not is_left_over(node(cordoned=True), ME)


def rows():
    return [
        NodeRow("h1", True, True, (), "10.0.0.1"),
        NodeRow("h2", True, True, ("control-plane",), "10.0.0.2"),
        NodeRow("10.0.0.2", False, True, (), "10.0.0.3"),
    ]


@pytest.mark.parametrize(
    ("names", "address", "found"),
    [
        (["h2"], "10.0.0.1", "h2"),
        (["web", "h1"], "", "h1"),
        (["web"], "10.0.0.2", "h2"),
        (["10.0.0.2"], "10.0.0.2", "10.0.0.2"),
        (["web"], "10.0.0.9", None),
        (["web"], "", None),
    ],
)
def test_a_host_is_found_by_its_names_before_its_address(names, address, found):
    row = find_row(rows(), names, address)
    assert (row.name if row else None) == found


def test_the_control_plane_is_known_by_its_roles():
    assert [row.is_control_plane for row in rows()] == [False, True, False]
    assert NodeRow("h", True, True, ("master", "worker"), "").is_control_plane
