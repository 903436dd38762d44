"""Spans of the Jaeger and Zipkin exporters reach Kafka as their producers write them there; what
arrives at a receiver must say the same.

Each encoding has a topic and a path of its own; one topic holds all of them for `auto`, and one is
turned into OTLP. A receiver on loopback keeps what kafkamq posts, and the exporters' own modules
decode it.

Prints one line of JSON and ends with 0 if everything is as it should be.
"""

import argparse
import collections
import http.server
import json
import threading
import time

from ending import run

SERVICE = "shop"
SPANS = 10
LIMIT_SECONDS = 60

# Topic suffix, and the keys of its input.
INPUTS = {
    "thrift": 'encoding = "thrift"',
    "protobuf": 'encoding = "protobuf"',
    "json": 'encoding = "json"',
    "zipkin-json": 'encoding = "zipkin_json"',
    "zipkin-proto": 'encoding = "zipkin_proto"',
    "raw": 'encoding = "raw"',
    "auto": 'encoding = "auto"',
    "otlp": 'encoding = "auto"\nconvert_to = "otlp"\notlp_path = "/v1/traces"',
}


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps content types and bodies by path."""

    daemon_threads = True

    def __init__(self, port):
        self.bodies = collections.defaultdict(list)
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self, path, count):
        """The bodies of a path, once there are so many."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline:
            with self.lock:
                if len(self.bodies[path]) >= count:
                    return list(self.bodies[path])
            time.sleep(0.05)
        raise SystemExit(f"{path}: {len(self.bodies[path])} of {count} bodies arrived")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.bodies[self.path].append((self.headers["Content-Type"], body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def make_spans():
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace import SpanKind, Status, StatusCode

    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE, "host": "h1"}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("shop", "1.2.3")
    for n in range(SPANS // 2):
        with tracer.start_as_current_span(f"order-{n}", kind=SpanKind.SERVER) as span:
            span.set_attribute("articles", n)
            span.set_attribute("price", 9.5)
            span.set_attribute("gift", n % 2 == 0)
            span.set_attribute("note", "grün")
            span.add_event("packed", {"boxes": 2})
            with tracer.start_as_current_span("pay") as inner:
                if n == 0:
                    inner.set_status(Status(StatusCode.ERROR, "declined"))
    return memory.get_finished_spans()


def encode(spans):
    """Every encoding's records, as lists of bytes, and the model's spans."""
    from google.protobuf.json_format import MessageToJson
    from opentelemetry.exporter.jaeger.proto.grpc.gen import model_pb2
    from opentelemetry.exporter.jaeger.proto.grpc.translate import (
        ProtobufTranslator,
        Translate,
    )
    from opentelemetry.exporter.jaeger.thrift.gen.jaeger import ttypes
    from opentelemetry.exporter.jaeger.thrift.translate import (
        ThriftTranslator,
        Translate as ThriftTranslate,
    )
    from opentelemetry.exporter.zipkin.json.v2 import JsonV2Encoder
    from opentelemetry.exporter.zipkin.node_endpoint import NodeEndpoint
    from opentelemetry.exporter.zipkin.proto.http.v2 import ProtobufEncoder
    from thrift.protocol.TBinaryProtocol import TBinaryProtocol
    from thrift.transport.TTransport import TMemoryBuffer

    model = Translate(spans)._translate(ProtobufTranslator(SERVICE))
    tag = model_pb2.KeyValue(key="host", v_type=model_pb2.ValueType.STRING, v_str="h1")
    for span in model:
        # A collector puts the process of a batch into each span.
        span.process.CopyFrom(model_pb2.Process(service_name=SERVICE, tags=[tag]))

    thrift = []
    for span in ThriftTranslate(spans)._translate(ThriftTranslator()):
        buffer = TMemoryBuffer()
        process = ttypes.Process(serviceName=SERVICE, tags=[])
        ttypes.Batch(spans=[span], process=process).write(TBinaryProtocol(buffer))
        thrift.append(buffer.getvalue())

    node = NodeEndpoint()
    text = lambda body: body if isinstance(body, bytes) else body.encode()  # noqa: E731
    return model, {
        "thrift": thrift,
        "protobuf": [span.SerializeToString() for span in model],
        "json": [MessageToJson(span).encode() for span in model],
        "zipkin-json": [text(JsonV2Encoder().serialize([span], node)) for span in spans],
        "zipkin-proto": [text(ProtobufEncoder().serialize([span], node)) for span in spans],
    }


def check(condition, what):
    if not condition:
        raise SystemExit(what)


def read_batch(body):
    from opentelemetry.exporter.jaeger.thrift.gen.jaeger import ttypes
    from thrift.protocol.TBinaryProtocol import TBinaryProtocol
    from thrift.transport.TTransport import TMemoryBuffer

    batch = ttypes.Batch()
    batch.read(TBinaryProtocol(TMemoryBuffer(body)))
    return batch


def signed(number):
    return int.from_bytes(number, "big", signed=True)


def check_batch(batch, span):
    """That a Thrift batch says what a span of the model says."""
    from opentelemetry.exporter.jaeger.proto.grpc.gen import model_pb2

    check(batch.process.serviceName == SERVICE, "another service")
    check([tag.vStr for tag in batch.process.tags] == ["h1"], "tags of the process")
    check(len(batch.spans) == 1, "one span a batch")
    (read,) = batch.spans
    check(read.operationName == span.operation_name, "operation")
    check(read.traceIdHigh == signed(span.trace_id[:8]), "trace id")
    check(read.traceIdLow == signed(span.trace_id[8:]), "trace id")
    check(read.spanId == signed(span.span_id), "span id")
    parents = [signed(ref.span_id) for ref in span.references if ref.ref_type == 0]
    check(read.parentSpanId == (parents or [0])[0], "parent")
    check(read.startTime == span.start_time.ToMicroseconds(), "start")
    check(read.duration == span.duration.ToMicroseconds(), "duration")
    types = model_pb2.ValueType
    value = {
        types.STRING: lambda tag: tag.v_str,
        types.BOOL: lambda tag: tag.v_bool,
        types.INT64: lambda tag: tag.v_int64,
        types.FLOAT64: lambda tag: tag.v_float64,
    }
    wanted = {tag.key: value[tag.v_type](tag) for tag in span.tags}
    there = {
        tag.key: [tag.vStr, tag.vDouble, tag.vBool, tag.vLong][tag.vType] for tag in read.tags
    }
    check(there == wanted, f"tags: {there} instead of {wanted}")
    logs = [[field.key for field in log.fields] for log in read.logs or []]
    check(logs == [[field.key for field in log.fields] for log in span.logs], "logs")


def check_batches(bodies, model, where):
    spans = {span.span_id: span for span in model}
    for kind, body in bodies:
        check(kind == "application/x-thrift", f"{where}: {kind}")
        batch = read_batch(body)
        key = batch.spans[0].spanId.to_bytes(8, "big", signed=True)
        check(key in spans, f"{where}: a foreign or repeated span")
        check_batch(batch, spans.pop(key))
    check(not spans, f"{where}: {len(spans)} spans are missing")


def check_otlp(bodies, model, where):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    spans = {}
    for kind, body in bodies:
        check(kind == "application/x-protobuf", f"{where}: {kind}")
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {item.key: item.value.string_value for item in group.resource.attributes}
            check(named == {"service.name": SERVICE, "host": "h1"}, f"{where}: {named}")
            for scope in group.scope_spans:
                for span in scope.spans:
                    spans.setdefault(span.span_id, []).append(span)
    check(len(spans) == len(model), f"{where}: {len(spans)} spans")
    for span in model:
        # One came as protobuf and one as JSON.
        check(len(spans[span.span_id]) == 2, f"{where}: a span came another number of times")
        for read in spans[span.span_id]:
            check(read.name == span.operation_name, f"{where}: name")
            check(read.trace_id == span.trace_id, f"{where}: trace id")
            parents = [ref.span_id for ref in span.references]
            check(read.parent_span_id == (parents or [b""])[0], f"{where}: parent")
            check(read.start_time_unix_nano == span.start_time.ToNanoseconds(), f"{where}: start")
            length = read.end_time_unix_nano - read.start_time_unix_nano
            check(length == span.duration.ToNanoseconds(), f"{where}: duration")
            check(len(read.events) == len(span.logs), f"{where}: events")
            failed = any(tag.key == "error" and tag.v_bool for tag in span.tags)
            check((read.status.code == 2) == failed, f"{where}: status")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--bootstrap", required=True)
    arguments.add_argument("--namespace", required=True)
    arguments.add_argument("--port", required=True, type=int)
    arguments.add_argument("--inputs", action="store_true", help="prints the inputs and ends")
    arguments = arguments.parse_args()
    if arguments.inputs:
        for name, keys in INPUTS.items():
            print(
                f'[[inputs.kafkamq]]\naddrs = ["{arguments.bootstrap}"]\noffsets = "oldest"\n'
                f'group_id = "{arguments.namespace}-{name}"\n'
                f"[inputs.kafkamq.jaeger]\n"
                f'dk_endpoint = "http://127.0.0.1:{arguments.port}/{name}"\n'
                f'topics = ["{arguments.namespace}-{name}"]\n{keys}\n'
            )
        return

    from kafka import KafkaProducer

    receiver = Receiver(arguments.port)
    spans = make_spans()
    model, records = encode(spans)
    check(len(model) == SPANS, f"{len(model)} spans were made")
    producer = KafkaProducer(bootstrap_servers=arguments.bootstrap, acks="all")

    def send(topic, values):
        for value in values:
            producer.send(f"{arguments.namespace}-{topic}", value=value)

    for name, values in records.items():
        send(name, values)
        send("auto", values)
    send("raw", records["thrift"])
    send("otlp", records["protobuf"] + records["json"])
    producer.flush(timeout=LIMIT_SECONDS)

    for name in ("protobuf", "json"):
        check_batches(receiver.take(f"/{name}/apis/traces", SPANS), model, name)
    thrift = [("application/x-thrift", body) for body in records["thrift"]]
    check(receiver.take("/thrift/apis/traces", SPANS) == thrift, "thrift: not the bytes sent")
    raw = [("application/x-protobuf", body) for body in records["thrift"]]
    check(receiver.take("/raw/apis/traces", SPANS) == raw, "raw: not the bytes sent")
    zipkin = {"zipkin-json": "application/json", "zipkin-proto": "application/x-protobuf"}
    for name, kind in zipkin.items():
        sent = [(kind, body) for body in records[name]]
        check(receiver.take(f"/{name}/api/v2/spans", SPANS) == sent, f"{name}: not the bytes sent")

    mixed = receiver.take("/auto/apis/traces", 3 * SPANS)
    check(mixed[:SPANS] == thrift, "auto: Thrift batches are not the bytes sent")
    check_batches(mixed[SPANS : 2 * SPANS], model, "auto protobuf")
    check_batches(mixed[2 * SPANS :], model, "auto json")
    listed = receiver.take("/auto/api/v2/spans", 2 * SPANS)
    sent = [(kind, body) for name, kind in zipkin.items() for body in records[name]]
    check(listed == sent, "auto: Zipkin lists are not the bytes sent")
    check_otlp(receiver.take("/otlp/v1/traces", 2 * SPANS), model, "otlp")
    check(
        set(receiver.bodies)
        == {f"/{name}/apis/traces" for name in ("thrift", "protobuf", "json", "raw", "auto")}
        | {f"/{name}/api/v2/spans" for name in ("zipkin-json", "zipkin-proto", "auto")}
        | {"/otlp/v1/traces"},
        f"unexpected paths: {sorted(receiver.bodies)}",
    )
    print(json.dumps({name: len(values) for name, values in records.items()}))


if __name__ == "__main__":
    run(main)
