"""The app of web.py with a system of its own, to be served by whoever likes to."""

from __future__ import annotations

from fastapi import FastAPI

from lifecycle import Registry
from lifecycle.integrations.fastapi import lifespan
from tests.cluster.programs.web import router

api = FastAPI(lifespan=lifespan(Registry("shop")))
api.include_router(router)
