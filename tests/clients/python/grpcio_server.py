"""grpcio as a server, on port 8082."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

HELLO = f"hello from {os.environ['POD_NAME']}\n".encode()


def hello(_request, _context):
    time.sleep(0.02)
    return HELLO


def talk(requests, _context):
    for _ in requests:
        yield HELLO


handlers = {
    "Hello": grpc.unary_unary_rpc_method_handler(hello),
    "Talk": grpc.stream_stream_rpc_method_handler(talk),
}
stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())
server = grpc.server(ThreadPoolExecutor(max_workers=16))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("ebb.Clients", handlers)])
server.add_insecure_port("0.0.0.0:8082")
server.start()
while not stopping.wait(1):
    pass
server.stop(grace=10).wait()
