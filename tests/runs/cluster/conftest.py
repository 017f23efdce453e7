"""Two nodes of one core each on this machine; the second may be killed, and the next test gets a new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

SMALL_STORE = 80 * 2**20  # bytes, about the least that Ray takes
SOON_DEAD = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 1000, "health_check_failure_threshold": 4}


LITTLE = {"include_dashboard": False, "no_monitor": True, "include_log_monitor": False}  # processes of a node


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster` of one node, which the driver is connected to."""
    pytest.importorskip("ray", reason="needs the extra ray")
    import ray._private.utils
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with pytest.MonkeyPatch.context() as patch:
        # A node gives up where its dashboard agent takes 15 seconds; this one starts without most of it.
        patch.setattr(ray._private.utils, "get_dashboard_dependency_error", lambda: ImportError("left out"))
        node = {"num_cpus": 1, "object_store_memory": SMALL_STORE, **LITTLE}
        started = Cluster(initialize_head=True, head_node_args={**node, "_system_config": SOON_DEAD})
        ray.init(address=started.address, log_to_driver=False, logging_level="ERROR")
        yield started
        ray.shutdown()
        started.shutdown()


@pytest.fixture
def second_node(cluster: Any) -> Any:
    """Another node, which a test may kill; there for the tests that come after where it lives."""
    others = [node for node in cluster.list_all_nodes() if node is not cluster.head_node]
    return others[0] if others else cluster.add_node(num_cpus=1, object_store_memory=SMALL_STORE, **LITTLE)
