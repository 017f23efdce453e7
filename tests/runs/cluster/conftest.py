"""Two nodes of one core each on this machine; the second may be killed, and the next test gets a new one."""

from __future__ import annotations

import os

import pytest

SMALL_STORE = 80 * 2**20  # bytes, about the least that Ray takes
SOON_DEAD = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 300, "health_check_failure_threshold": 3}


@pytest.fixture(scope="session")
def two_nodes():
    """(Cluster, its second node)."""
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    node = {"num_cpus": 1, "object_store_memory": SMALL_STORE}
    head = {**node, "include_dashboard": False, "_system_config": SOON_DEAD}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    second = cluster.add_node(**node)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster, second
    ray.shutdown()
    cluster.shutdown()
