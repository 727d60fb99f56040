"""What the REST service tells Prometheus: requests, latency, the queue, the models' memory."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from seglab.api.guards import Places
from seglab.predict.model import Model


class _Loaded(Protocol):
    def offered(self) -> Mapping[str, Model]: ...

    def loaded(self) -> Sequence[str]: ...


class Metrics:
    """Counts what the service answers.

    Args:
        places: of the queue.
        models: whose weights are told.
    """

    def __init__(self, places: Places, models: _Loaded) -> None:
        self.registry = CollectorRegistry()
        names = ("method", "route")
        self._requests = Counter("seglab_requests", "Requests answered.", (*names, "status"), registry=self.registry)
        self._seconds = Histogram(
            "seglab_request_seconds",
            "From a request's first byte to its answer's last.",
            names,
            buckets=(0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
            registry=self.registry,
        )
        taken = Gauge("seglab_queue_taken", "Requests that are read, wait or are worked on.", registry=self.registry)
        taken.set_function(lambda: places.taken)
        Gauge("seglab_queue_places", "How many may be.", registry=self.registry).set(places.total)
        self.registry.register(_Weights(models))
        ProcessCollector(registry=self.registry)

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Take note of an answer; routes that do not exist count as one."""
        found = scope.get("route")
        route = found.path if isinstance(found, Route) else "other"
        method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "OPTIONS") else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> Response:
        """Return everything in Prometheus's text format."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)


class _Weights:
    def __init__(self, models: _Loaded) -> None:
        self._models = models

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("seglab_model_bytes", "Weights of a loaded model in float32.", labels=["model"])
        offered = self._models.offered()
        for key in self._models.loaded():
            parameters = offered[key].facts.parameters if key in offered else None
            family.add_metric([key], 4.0 * (parameters or 0))
        yield family
