#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A gRPC server of grpcio: grpc_server.py FILE PLAIN_PORT BARE_PORT [TLS_PORT MUTUAL_PORT CERTIFICATES].

Its services are up, down, ... as SERVICES says; "file" is while FILE exists. On BARE_PORT there is
no health service. MUTUAL_PORT wants a client certificate.
"""

import pathlib
import sys
import time
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

UNKNOWN, SERVING, NOT_SERVING, SERVICE_UNKNOWN = range(4)
SERVICES = {"": SERVING, "up.Service": SERVING, "down.Service": NOT_SERVING,
            "unknown.Service": UNKNOWN, "gone.Service": SERVICE_UNKNOWN, "future.Service": 7,
            "x" * 255: SERVING}
FIELD = descriptor_pb2.FieldDescriptorProto


def messages():
    """HealthCheckRequest and HealthCheckResponse of health.proto."""
    file = descriptor_pb2.FileDescriptorProto(name="health.proto", package="grpc.health.v1",
                                              syntax="proto3")
    request = file.message_type.add(name="HealthCheckRequest")
    request.field.add(name="service", number=1, type=FIELD.TYPE_STRING,
                      label=FIELD.LABEL_OPTIONAL)
    response = file.message_type.add(name="HealthCheckResponse")
    # An enum's number in the file; another one than the four is wanted, too.
    response.field.add(name="status", number=1, type=FIELD.TYPE_INT32, label=FIELD.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return [factory.GetPrototype(pool.FindMessageTypeByName(f"grpc.health.v1.{name}"))
            for name in ("HealthCheckRequest", "HealthCheckResponse")]


REQUEST, RESPONSE = messages()


def check(file):
    def handle(request, context):
        if request.service == "file":
            return RESPONSE(status=SERVING if file.exists() else NOT_SERVING).SerializeToString()
        if request.service in SERVICES:
            return RESPONSE(status=SERVICES[request.service]).SerializeToString()
        if request.service == "slow":
            time.sleep(0.3)
            return RESPONSE(status=SERVING).SerializeToString()
        if request.service == "stuck":
            time.sleep(30)
        if request.service == "garbage":
            return b"\xff" * 20
        if request.service == "long":
            return b"\x08\x01" * 50000
        if request.service == "empty":
            return b""
        if request.service == "denied":
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")
        return context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
    return handle


def new_server(handler=None):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=64))
    if handler:
        method = grpc.unary_unary_rpc_method_handler(
            handler, request_deserializer=REQUEST.FromString,
            response_serializer=lambda message: message)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health", {"Check": method}),))
    return server


def add_tls(server, tls_port, mutual_port, certificates):
    certificates = pathlib.Path(certificates)
    pair = [((certificates / "good.key").read_bytes(), (certificates / "good.pem").read_bytes())]
    ca = (certificates / "ca.pem").read_bytes()
    server.add_secure_port(f"[::]:{tls_port}", grpc.ssl_server_credentials(pair))
    server.add_secure_port(f"[::]:{mutual_port}", grpc.ssl_server_credentials(
        pair, root_certificates=ca, require_client_auth=True))


def main(file, plain_port, bare_port, *tls):
    server, bare = new_server(check(pathlib.Path(file))), new_server()
    server.add_insecure_port(f"[::]:{plain_port}")
    bare.add_insecure_port(f"[::]:{bare_port}")
    if tls:
        add_tls(server, *tls)
    server.start()
    bare.start()
    print("ready", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
