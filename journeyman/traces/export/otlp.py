"""Spans on their way: OTLP over HTTP as protobuf, or a line of OTLP's JSON.

Nothing is sent that nobody asked for: an endpoint is a setting or an option of ours, never OpenTelemetry's own
variables, which are set for other programs. Headers, such as a key, are in `JOURNEYMAN_OTEL_HEADERS`, `name=value,...`.
"""

import os
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote, urlsplit

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from journeyman.errors import ConfigError
from journeyman.safe import safe
from journeyman.traces.export import genai

HEADERS = "JOURNEYMAN_OTEL_HEADERS"
BATCH = 50
"""Spans in a request: some 3 MB of the longest conversations, less than collectors take."""
ANSWER_S = 10.0


def send(url: str, spans: Sequence[Span]) -> None:
    """Send them; an address without a path is a collector's and gets `/v1/traces`.

    Raises:
        ConfigError: nobody answers there, or not as a collector does.
    """
    import httpx2  # noqa: PLC0415 - takes a while

    headers = {"content-type": "application/x-protobuf", **_headers()}
    try:
        where = url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/v1/traces"
        with httpx2.Client(timeout=ANSWER_S, headers=headers, verify=_certificates()) as http:
            for at in range(0, len(spans), BATCH):
                request = ExportTraceServiceRequest(resource_spans=[bundle(spans[at : at + BATCH])])
                answer = http.post(where, content=request.SerializeToString())
                if problem := _problem(answer.status_code, answer.content):
                    raise _unsent(url, problem)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        raise _unsent(url, str(error) or type(error).__name__) from error


@cache
def _certificates() -> Any:
    import httpx2  # noqa: PLC0415

    return httpx2.create_ssl_context()  # 30 ms


def _problem(status: int, body: bytes) -> str:
    if status // 100 != 2:  # noqa: PLR2004
        return f"HTTP status {status} {safe(body.decode('utf-8', 'replace'), 200)}".strip()

    try:
        refused = ExportTraceServiceResponse.FromString(body).partial_success
    except DecodeError:  # some answer in JSON, or in words
        return ""

    told = safe(refused.error_message, 200) or "no reason given"
    return f"{refused.rejected_spans} spans were refused: {told}" if refused.rejected_spans else ""


def _headers() -> dict[str, str]:
    pairs = (item.partition("=") for item in os.environ.get(HEADERS, "").split(",") if item.strip())
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}


def _unsent(url: str, why: str) -> ConfigError:
    fix = f"Is a collector listening there, such as Phoenix? Headers, if it wants some: {HEADERS}=name=value"
    return ConfigError(f"The spans cannot be sent to {safe(url.rpartition('@')[2])}: {why}.", fix=fix)


def bundle(spans: Iterable[Span]) -> ResourceSpans:
    """Spans, with who says so."""
    ours = InstrumentationScope(name="journeyman", version=version("journeyman"))
    resource = Resource(attributes=attributes({"service.name": ours.name, "service.version": ours.version}))
    scoped = ScopeSpans(scope=ours, spans=spans)
    return ResourceSpans(resource=resource, scope_spans=[scoped])


def as_json(spans: Iterable[Span]) -> str:
    """One line, as collectors read it from files."""
    document = MessageToDict(TracesData(resource_spans=[bundle(spans)]), use_integers_for_enums=True)
    for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for each in (span, *span.get("links", ())):  # ids are OTLP's one exception from protobuf's JSON
            named = {"traceId", "spanId", "parentSpanId"} & each.keys()
            each |= {key: b64decode(each[key]).hex() for key in named}

    return genai.text(document)


def attributes(values: Mapping[str, Any]) -> list[KeyValue]:
    """None is left out; what is no plain value becomes JSON text."""
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items() if value is not None]


def _value(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int() if -(2**63) <= value < 2**63:
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case list() | tuple() if all(isinstance(item, str) for item in value):
            return AnyValue(array_value=ArrayValue(values=[_value(item) for item in value]))
        case _:
            return AnyValue(string_value=genai.text(value))
