"""The service of orders.py as a component, at a port, with connections that grow so old."""

from __future__ import annotations

import functools
import sys

import lifecycle
from lifecycle import Registry
from lifecycle.integrations import grpc
from tests.cluster.programs import orders

shop = Registry("shop")
server = grpc.server(
    functools.partial(orders.add, is_hosted=True),
    address=f"127.0.0.1:{sys.argv[1]}",
    connection_age=float(sys.argv[2]) if sys.argv[2:] else None,
)
shop.add(server, name="api", drain_timeout=15)
lifecycle.run(shop)
