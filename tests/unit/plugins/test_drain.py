"""Which pods have to leave a node, from pods as the API shows them."""

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.drain import plan_drain, tell_left


def pod(name="web", owner="ReplicaSet", phase="Running", **changes):
    """A pod of the API; `changes` go into its metadata, `volumes` into its spec."""
    volumes = changes.pop("volumes", None)
    owners = [{"kind": owner, "name": "x", "controller": True}] if owner else []
    metadata = {"namespace": "shop", "name": name, "uid": f"uid-{name}", "ownerReferences": owners, **changes}
    return {"metadata": metadata, "spec": {"volumes": volumes} if volumes else {}, "status": {"phase": phase}}


def plan(*pods, delete_emptydir_data=False, force=False):
    return plan_drain(list(pods), delete_emptydir_data=delete_emptydir_data, force=force)


def names(pods):
    return [str(one) for one in pods]


@pytest.mark.parametrize("owner", ["ReplicaSet", "StatefulSet", "Job", "ReplicationController", "AnOperatorsOwnKind"])
def test_a_pod_that_somebody_makes_again_is_evicted(owner):
    assert names(plan(pod(owner=owner)).evict) == ["shop/web"]


@pytest.mark.parametrize(
    "left",
    [
        pod(owner="DaemonSet"),
        pod(annotations={"kubernetes.io/config.mirror": "abc"}, owner="Node"),
        pod(phase="Succeeded", owner=""),
        pod(phase="Failed", volumes=[{"name": "tmp", "emptyDir": {}}]),
    ],
)
def test_what_the_node_starts_again_and_what_has_ended_is_left(left):
    assert plan(left).done


def test_a_pod_that_ends_already_is_only_waited_for():
    found = plan(pod(deletionTimestamp="2026-11-28T03:00:00Z"))
    assert (names(found.evict), names(found.leaving), found.done) == ([], ["shop/web"], False)


def test_a_pod_that_nobody_makes_again_is_evicted_only_if_told():
    lonely = pod(owner="")
    assert plan(lonely).refused == (
        "shop/web belongs to no controller, so nobody would make it again (drain_force allows it)",
    )
    assert names(plan(lonely, force=True).evict) == ["shop/web"]


def test_an_owner_that_is_no_controller_makes_nothing_again():
    owned = pod(ownerReferences=[{"kind": "ReplicaSet", "name": "x"}])
    assert plan(owned).refused


def test_an_emptydir_is_lost_only_if_told():
    scratch = pod(volumes=[{"name": "token", "projected": {}}, {"name": "tmp", "emptyDir": {}}])
    assert plan(scratch).refused == ("shop/web would lose an emptyDir volume (drain_delete_emptydir_data allows it)",)
    assert names(plan(scratch, delete_emptydir_data=True).evict) == ["shop/web"]


def test_what_is_left_is_named_with_what_keeps_it():
    found = plan(pod("a"), pod("b"), pod("c", deletionTimestamp="2026-11-28T03:00:00Z"))
    assert tell_left(found, {"uid-a": "the budget web needs 2"}) == (
        "shop/a (the budget web needs 2), shop/b, shop/c (does not end)"
    )


def test_of_many_only_some_are_named():
    found = plan(*(pod(f"p{number}") for number in range(9)))
    assert tell_left(found, {}) == "shop/p0, shop/p1, shop/p2, shop/p3, shop/p4 and 4 more"
