"""A stub of Temporal's frontend: enough for a real client and a real worker, over real gRPC.

::

    with serving() as frontend:
        client = await Client.connect(frontend.target)
        ...
        token = frontend.add("orders", "pack", 7)
        assert frontend.outcome(token) == Outcome("completed", "packed 7")

What has no outcome when its worker has gone was lost: Temporal itself waits for the activity's
timeout then, and has it run anew.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import json
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import attrs
import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import NamespaceState
from temporalio.api.workflowservice.v1 import request_response_pb2 as messages
from typing_extensions import Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import TracebackType

    Context = grpc.aio.ServicerContext[Any, Any]

GENEROUS = 60.0
"""How long anything is waited for, in seconds: what takes longer on a slow machine is broken."""

_LONG_POLL = 2.0
"""How long a poll waits for a task, in seconds; Temporal's own waits for a minute."""

NO_TASK = messages.PollActivityTaskQueueResponse()


@attrs.frozen
class Outcome:
    """What a worker has said of an activity."""

    kind: str
    """``completed``, ``failed`` or ``canceled``."""
    value: Any = None


class Frontend:
    """Listens while it is entered, hands out activities, and notes what becomes of them."""

    def __init__(self, *, namespaces: tuple[str, ...] = ("default",)) -> None:
        self.namespaces = namespaces
        self.outcomes: dict[str, Outcome] = {}
        self.missing = 0
        """How often the namespace is said not to be there."""
        self.port = 0
        self._numbers = itertools.count(1)
        self._tasks: dict[str, asyncio.Queue[Any]] = collections.defaultdict(asyncio.Queue)
        self._polled: dict[str, anyio.Event] = collections.defaultdict(anyio.Event)
        self._open: dict[str, int] = collections.defaultdict(int)
        self._ended = anyio.Event()
        self._told: dict[str, anyio.Event] = collections.defaultdict(anyio.Event)
        self._server: grpc.aio.Server | None = None

    @property
    def target(self) -> str:
        """Where a client finds it."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((_Calls(self).handler(),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        server, self._server = self._server, None  # gRPC's thread ends with the last that has it
        assert server is not None
        with anyio.CancelScope(shield=True):
            await server.stop(None)

    # --- what a test does ------------------------------------------------------------------------

    def add(self, task_queue: str, activity: str, *args: Any) -> str:
        """Have an activity run; returns its token, by which its outcome is found."""
        token = f"{activity}-{next(self._numbers)}"
        now = Timestamp()
        now.GetCurrentTime()
        task = messages.PollActivityTaskQueueResponse(
            task_token=token.encode(),
            workflow_namespace="default",
            activity_id=token,
            attempt=1,
            workflow_execution=WorkflowExecution(workflow_id=f"workflow-of-{token}", run_id="run"),
            input=Payloads(payloads=[_payload(arg) for arg in args]),
            scheduled_time=now,
            current_attempt_scheduled_time=now,
            started_time=now,
            schedule_to_close_timeout=Duration(seconds=120),
            start_to_close_timeout=Duration(seconds=60),
        )
        task.activity_type.name = activity
        task.workflow_type.name = "Workflow"
        self._tasks[task_queue].put_nowait(task)
        return token

    async def polled(self, task_queue: str) -> None:
        """Wait until a worker has polled."""
        with anyio.fail_after(GENEROUS):
            await self._polled[task_queue].wait()

    async def outcome(self, token: str) -> Outcome:
        """Wait for the outcome of an activity."""
        with anyio.fail_after(GENEROUS):
            await self._told[token].wait()
        return self.outcomes[token]

    # --- what a worker does ----------------------------------------------------------------------

    def is_missing(self, namespace: str) -> bool:
        """Whether a namespace is said not to be there."""
        self.missing -= 1
        return self.missing >= 0 or namespace not in self.namespaces

    async def poll(self, task_queue: str) -> Any:
        """Give a task, or, after some time, none."""
        self._polled[task_queue].set()
        self._open[task_queue] += 1
        try:
            return await asyncio.wait_for(self._tasks[task_queue].get(), _LONG_POLL)
        except asyncio.TimeoutError:
            return NO_TASK
        finally:
            self._open[task_queue] -= 1

    def end_polls(self) -> None:
        """A worker shuts down: its polls are answered, so that no task is lost with them."""
        for task_queue, number in self._open.items():
            for _ in range(number):
                self._tasks[task_queue].put_nowait(NO_TASK)
        self._ended.set()

    async def ended(self) -> None:
        """Wait until a worker has begun to shut down."""
        with anyio.fail_after(GENEROUS):
            await self._ended.wait()

    def note(self, token: bytes, outcome: Outcome) -> None:
        """Note what became of an activity."""
        self.outcomes[token.decode()] = outcome
        self._told[token.decode()].set()


class _Calls:
    """Answers the calls that the SDK was seen to make, and no others."""

    def __init__(self, frontend: Frontend) -> None:
        self._frontend = frontend

    def handler(self) -> grpc.GenericRpcHandler:
        """Give what a server needs to know of them."""
        answers: dict[str, Callable[[Any, Context], Awaitable[Any]]] = {
            "GetSystemInfo": self._system_info,
            "DescribeNamespace": self._namespace,
            "PollActivityTaskQueue": self._poll,
            "RecordActivityTaskHeartbeat": self._heartbeat,
            "RespondActivityTaskCompleted": self._completed,
            "RespondActivityTaskFailed": self._failed,
            "RespondActivityTaskCanceled": self._canceled,
            "ShutdownWorker": self._shutdown,
            "RecordWorkerHeartbeat": self._worker_heartbeat,
        }
        handlers: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(
                answer,
                request_deserializer=getattr(messages, f"{name}Request").FromString,
                response_serializer=getattr(messages, f"{name}Response").SerializeToString,
            )
            for name, answer in answers.items()
            if hasattr(messages, f"{name}Request")  # an older SDK makes less of them
        }
        service = "temporal.api.workflowservice.v1.WorkflowService"
        return grpc.method_handlers_generic_handler(service, handlers)

    async def _system_info(self, request: Any, context: Context) -> Any:
        response = messages.GetSystemInfoResponse(server_version="1.99.0")
        with contextlib.suppress(AttributeError):  # an older SDK does not know it
            response.capabilities.activity_failure_include_heartbeat = True
        return response

    async def _namespace(self, request: Any, context: Context) -> Any:
        if self._frontend.is_missing(request.namespace):
            text = f"Namespace {request.namespace} is not found."
            await context.abort(grpc.StatusCode.NOT_FOUND, text)
        response = messages.DescribeNamespaceResponse()
        response.namespace_info.name = request.namespace
        response.namespace_info.state = NamespaceState.NAMESPACE_STATE_REGISTERED
        return response

    async def _poll(self, request: Any, context: Context) -> Any:
        return await self._frontend.poll(request.task_queue.name)

    async def _heartbeat(self, request: Any, context: Context) -> Any:
        return messages.RecordActivityTaskHeartbeatResponse()

    async def _completed(self, request: Any, context: Context) -> Any:
        values = [_value(payload) for payload in request.result.payloads]
        self._frontend.note(request.task_token, Outcome("completed", *values))
        return messages.RespondActivityTaskCompletedResponse()

    async def _failed(self, request: Any, context: Context) -> Any:
        failure = request.failure
        text = f"{failure.application_failure_info.type}: {failure.message}"
        self._frontend.note(request.task_token, Outcome("failed", text))
        return messages.RespondActivityTaskFailedResponse()

    async def _canceled(self, request: Any, context: Context) -> Any:
        self._frontend.note(request.task_token, Outcome("canceled"))
        return messages.RespondActivityTaskCanceledResponse()

    async def _shutdown(self, request: Any, context: Context) -> Any:
        self._frontend.end_polls()
        return messages.ShutdownWorkerResponse()

    async def _worker_heartbeat(self, request: Any, context: Context) -> Any:
        return messages.RecordWorkerHeartbeatResponse()


class InThread:
    """A frontend beside tests that are not async, and beside event loops that are looked at."""

    def __init__(self, frontend: Frontend, portal: anyio.from_thread.BlockingPortal) -> None:
        self._frontend = frontend
        self._portal = portal
        self.target = frontend.target

    def add(self, task_queue: str, activity: str, *args: Any) -> str:
        """Have an activity run; returns its token."""
        return self._portal.call(self._frontend.add, task_queue, activity, *args)

    def outcome(self, token: str) -> Outcome:
        """Wait for the outcome of an activity."""
        return self._portal.call(self._frontend.outcome, token)

    def polled(self, task_queue: str) -> None:
        """Wait until a worker has polled."""
        self._portal.call(self._frontend.polled, task_queue)

    def ended(self) -> None:
        """Wait until a worker has begun to shut down."""
        self._portal.call(self._frontend.ended)

    def let_be_missing(self, times: int) -> None:
        """Say so often that a namespace is not there."""
        self._frontend.missing = times

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """All that are known now."""
        return self._portal.call(self._frontend.outcomes.copy)


@contextlib.contextmanager
def serving() -> Iterator[InThread]:
    """Run a frontend in a thread of its own."""
    with anyio.from_thread.start_blocking_portal() as portal:
        frontend = portal.call(_made)
        with portal.wrap_async_context_manager(frontend):
            yield InThread(frontend, portal)


async def _made() -> Frontend:
    return Frontend()


def _payload(value: Any) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode())


def _value(payload: Payload) -> Any:
    return json.loads(payload.data) if payload.metadata["encoding"] == b"json/plain" else None
