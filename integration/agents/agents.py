"""Real agents report into Kafka; what arrives at the receiver must be what they said.

The SkyWalking agent reports spans, logs, meters and itself through its own Kafka reporter; the
OpenTelemetry SDK's spans, metrics and logs are put on Kafka as the bytes of OTLP requests. A
receiver on loopback keeps what kafkamq forwards. The records are read back from Kafka as well, so
that bytes can be compared with bytes; then the agents' own protobuf modules decode what arrived.

Prints one line of JSON and ends with 0 if everything is as it should be.
"""

import argparse
import collections
import http.server
import json
import logging
import threading
import time

from ending import run

SERVICE = "shop"
INSTANCE = "shop-1"
SPANS = 20
LINES = 12
LIMIT_SECONDS = 60

SEGMENTS = "skywalking-segments"
LOGS = "skywalking-logs"
MANAGEMENTS = "skywalking-managements"
METERS = "skywalking-meters"
OTLP = ("otlp-spans", "otlp-metrics", "otlp-logs")

PATH_OF = {
    SEGMENTS: "/v3/trace",
    LOGS: "/v3/logging",
    OTLP[0]: "/otel/v1/traces",
    OTLP[1]: "/otel/v1/metrics",
    OTLP[2]: "/otel/v1/logs",
}


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps the bodies by path."""

    daemon_threads = True

    def __init__(self, port):
        self.bodies = collections.defaultdict(list)
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def snapshot(self):
        with self.lock:
            return {path: list(bodies) for path, bodies in self.bodies.items()}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.bodies[self.path].append(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def report_skywalking(bootstrap, namespace):
    from skywalking import agent, config

    config.init(
        agent_protocol="kafka",
        kafka_bootstrap_servers=bootstrap,
        kafka_namespace=namespace,
        agent_name=SERVICE,
        agent_instance_name=INSTANCE,
        agent_log_reporter_active=True,
        agent_log_reporter_level="INFO",
        agent_log_reporter_layout="%(message)s",
        agent_meter_reporter_active=True,
        agent_meter_reporter_period=1,
        agent_collector_heartbeat_period=2,
        agent_logging_level="ERROR",
        # They would report this script's own work.
        agent_disable_plugins=["sw_kafka", "sw_http_server"],
    )
    agent.start()

    from skywalking import Component, Layer
    from skywalking.trace.context import get_context
    from skywalking.trace.tags import TagHttpMethod

    logger = logging.getLogger("shop")
    logger.setLevel(logging.INFO)
    for n in range(SPANS):
        with get_context().new_entry_span(op=f"/cart/{n}") as span:
            span.component = Component.Flask
            span.layer = Layer.Http
            span.tag(TagHttpMethod("GET"))
            with get_context().new_local_span(op="price"):
                if n < LINES:
                    logger.warning("sold out: %s", f"article {n}")
    # The module holds the agent and lends only its `start`.
    return agent.agent


def otlp_requests():
    """One request of each kind, and the texts that must be found in them again."""
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    resource = Resource.create({"service.name": SERVICE})

    spans = InMemorySpanExporter()
    tracer_provider = TracerProvider(resource=resource)
    tracer_provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = tracer_provider.get_tracer("shop")
    for n in range(SPANS):
        with tracer.start_as_current_span(f"order-{n}") as span:
            span.set_attribute("articles", n)
            with tracer.start_as_current_span("pay"):
                pass

    reader = InMemoryMetricReader()
    meter = MeterProvider(metric_readers=[reader], resource=resource).get_meter("shop")
    meter.create_counter("orders").add(SPANS, {"currency": "EUR"})
    meter.create_histogram("order.value").record(17.5)

    logs = InMemoryLogRecordExporter()
    logger_provider = LoggerProvider(resource=resource)
    logger_provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
    logger = logging.getLogger("otel-shop")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(LoggingHandler(logger_provider=logger_provider))
    for n in range(LINES):
        logger.info("shipped %s", n)

    return {
        OTLP[0]: [encode_spans([one]).SerializeToString() for one in spans.get_finished_spans()],
        OTLP[1]: [encode_metrics(reader.get_metrics_data()).SerializeToString()],
        OTLP[2]: [encode_logs([one]).SerializeToString() for one in logs.get_finished_logs()],
    }


def read_back(bootstrap, topics):
    """Everything on the topics, as values by topic."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    partitions = [TopicPartition(topic, 0) for topic in topics]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    consumer.seek_to_beginning()
    values = {topic: [] for topic in topics}
    deadline = time.monotonic() + LIMIT_SECONDS
    while any(consumer.position(one) < ends[one] for one in partitions):
        if time.monotonic() > deadline:
            raise SystemExit("the records cannot be read back")
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                values[record.topic].append(record.value)
    consumer.close()
    return values


def check(condition, what):
    if not condition:
        raise SystemExit(what)


def decode_skywalking(bodies):
    from skywalking.protocol.language_agent.Tracing_pb2 import SegmentObject
    from skywalking.protocol.logging.Logging_pb2 import LogData

    segments = [SegmentObject.FromString(body) for body in bodies[PATH_OF[SEGMENTS]]]
    operations = collections.Counter(
        span.operationName for segment in segments for span in segment.spans
    )
    for n in range(SPANS):
        check(operations[f"/cart/{n}"] == 1, f"/cart/{n} arrived {operations[f'/cart/{n}']} times")
    check(operations["price"] == SPANS, "local spans are missing")
    check({segment.service for segment in segments} == {SERVICE}, "another service")
    check({segment.serviceInstance for segment in segments} == {INSTANCE}, "another instance")

    lines = [LogData.FromString(body) for body in bodies[PATH_OF[LOGS]]]
    texts = collections.Counter(line.body.text.text for line in lines)
    traces = {segment.traceId for segment in segments}
    for n in range(LINES):
        text = f"sold out: article {n}"
        check(texts[text] == 1, f"`{text}` arrived {texts[text]} times")
    of_shop = [line for line in lines if line.body.text.text.startswith("sold out")]
    check(all(line.traceContext.traceId in traces for line in of_shop), "a line without its trace")
    return len(segments), len(lines)


def decode_otlp(bodies):
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    names = collections.Counter(
        span.name
        for body in bodies[PATH_OF[OTLP[0]]]
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    )
    expected = collections.Counter({f"order-{n}": 1 for n in range(SPANS)} | {"pay": SPANS})
    check(names == expected, f"spans: {names}")
    metrics = [
        metric.name
        for body in bodies[PATH_OF[OTLP[1]]]
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]
    check({"orders", "order.value"} <= set(metrics), f"metrics: {metrics}")
    lines = [
        record.body.string_value
        for body in bodies[PATH_OF[OTLP[2]]]
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]
    check(sorted(lines) == sorted(f"shipped {n}" for n in range(LINES)), f"lines: {lines}")
    return sum(names.values()), len(metrics), len(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--bootstrap", required=True)
    arguments.add_argument("--namespace", required=True)
    arguments.add_argument("--port", required=True, type=int)
    arguments = arguments.parse_args()
    name = lambda topic: f"{arguments.namespace}-{topic}"  # noqa: E731

    receiver = Receiver(arguments.port)
    agent = report_skywalking(arguments.bootstrap, arguments.namespace)
    # The agent reports meters once a second; the others on their own.
    time.sleep(4)
    agent.stop()

    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=arguments.bootstrap, acks="all")
    for topic, requests in otlp_requests().items():
        for request in requests:
            producer.send(name(topic), value=request).get(timeout=LIMIT_SECONDS)

    topics = [SEGMENTS, LOGS, MANAGEMENTS, METERS, *OTLP]
    values = read_back(arguments.bootstrap, [name(topic) for topic in topics])
    produced = {topic: values[name(topic)] for topic in topics}
    check(produced[MANAGEMENTS] and produced[METERS], "the agent did not report itself or meters")

    wanted = {PATH_OF[topic]: sorted(produced[topic]) for topic in PATH_OF}
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        arrived = {path: sorted(bodies) for path, bodies in receiver.snapshot().items()}
        if arrived == wanted:
            break
        time.sleep(0.1)
    for path, bodies in wanted.items():
        there = arrived.get(path, [])
        check(there == bodies, f"{path}: {len(there)} bodies arrived, {len(bodies)} were produced")
    check(set(arrived) == set(wanted), f"unexpected paths: {set(arrived) - set(wanted)}")

    segments, lines = decode_skywalking(arrived)
    spans, metrics, records = decode_otlp(arrived)
    print(
        json.dumps(
            {
                "skywalking": {"segments": segments, "logs": lines},
                "acknowledged": {
                    "managements": len(produced[MANAGEMENTS]),
                    "meters": len(produced[METERS]),
                },
                "otlp": {"spans": spans, "metrics": metrics, "logs": records},
            }
        )
    )


if __name__ == "__main__":
    run(main)
