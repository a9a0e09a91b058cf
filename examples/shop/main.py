"""A small shop: run it with ``python examples/shop/main.py``, and end it with Ctrl-C or SIGTERM.

SHOP_HOST (127.0.0.1), SHOP_PORT (8000; 0 for any that is free) and SHOP_DATA (the directory of its
database) change it; so do the settings of `lifecycle` itself, such as LIFECYCLE_GRACE_PERIOD and
LIFECYCLE_DRAIN_DELAY.
"""

from __future__ import annotations

from web import shop

import lifecycle

if __name__ == "__main__":
    lifecycle.run(shop)
