"""A system inside a process that belongs to somebody else: ``uvicorn module:app``, for example.

::

    app = guest.wrap(api, shop)                 # any ASGI app: uvicorn module:app

    api = FastAPI(lifespan=lifespan(shop))      # the same for FastAPI and Starlette, by
                                                # lifecycle.integrations.fastapi

The system starts before the server listens, and ends when it has ended. Between the two, a signal
reaches the system first: it is not ready from that moment on, the server goes on for the drain
delay, is then told to end, finishes its requests, and only then the components are drained and
closed; all of that in one grace period, which begins with the signal. A component that crashes
takes the same way, and the process ends with the exit code of the run.

That is so where the process belongs to uvicorn, alone, as a worker, or under gunicorn. Under other
servers, signals are not ours to take: there, ``lifecycle drain`` comes first.

The same app served by a server of :mod:`lifecycle.integrations`, inside a system, joins that.
"""

from __future__ import annotations

from lifecycle.integrations.guest._app import Guest, wrap
from lifecycle.integrations.guest._living import Stay, living

__all__ = ["Guest", "Stay", "living", "wrap"]
