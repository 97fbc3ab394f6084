"""A kill ends whatever system call a job waits in: sockets, TLS, the web, several at once."""

from __future__ import annotations

import http.client
import select
import selectors
import socket
import ssl
import threading
import urllib.request
from contextlib import ExitStack, contextmanager, suppress

import pytest

BIG = b"x" * 10_000_000
# Anonymous: needs no certificate.
CIPHERS = "AECDH-AES256-SHA:@SECLEVEL=0"


def receive(method, *arguments, limit=None):
    def scene():
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(limit)
            yield lambda: getattr(ours, method)(*arguments)
            theirs.send(b"x")
            assert ours.recv(10) == b"x"

    return scene


def send(method, *arguments, limit=None):
    def scene():
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(limit)
            yield lambda: endlessly(getattr(ours, method), *arguments)
            theirs.settimeout(0.2)
            with suppress(TimeoutError):
                while theirs.recv(1_000_000):
                    pass
            assert ours.send(b"y") == 1
            assert theirs.recv(10) == b"y"

    return scene


def endlessly(call, *arguments):
    while True:
        call(*arguments)


@contextmanager
def server(backlog=5):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(backlog)
        yield server


def accept(limit):
    def scene():
        with server() as listening:
            listening.settimeout(limit)
            yield listening.accept
            listening.settimeout(5)
            with socket.create_connection(listening.getsockname(), 5) as client:
                ours, address = listening.accept()
                ours.close()
                assert address == client.getsockname()

    return scene


def connect(limit):
    def scene():
        with ExitStack() as stack:
            listening = stack.enter_context(server(0))
            for _ in range(4):
                # The server takes nobody: when its queue is full, who comes next waits.
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(listening.getsockname())
            client = stack.enter_context(socket.socket())
            client.settimeout(limit)
            yield lambda: client.connect(listening.getsockname())

    return scene


def web(fetch):
    def scene():
        with server() as listening:
            yield lambda: fetch(listening.getsockname()[1])
            ours, _ = listening.accept()
            with ours:
                ours.settimeout(5)
                assert ours.recv(1000).startswith(b"GET / ")
                # The client has gone.
                assert ours.recv(1000) == b""

    return scene


def urlopen(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        return answer.read()


def http_client(port, limit=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=limit)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


def context(protocol):
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    return context


def tls_handshake(limit):
    def scene():
        ours, theirs = socket.socketpair()
        ours.settimeout(limit)

        def shake():
            # `wrap_socket` that shakes hands itself forgets to close the socket when it is ended.
            with context(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(ours, do_handshake_on_connect=False) as client:
                client.do_handshake()

        with ours, theirs:
            yield shake

    return scene


@contextmanager
def tls():
    ours, theirs = socket.socketpair()
    wrapped = []
    serve = context(ssl.PROTOCOL_TLS_SERVER).wrap_socket
    thread = threading.Thread(target=lambda: wrapped.append(serve(theirs, server_side=True)))
    thread.start()
    client = context(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(ours)
    thread.join(10)
    with client, wrapped[0]:
        yield client, wrapped[0]


def tls_read(limit):
    def scene():
        with tls() as (client, other):
            client.settimeout(limit)
            yield lambda: client.recv(10)
            other.send(b"x")
            assert client.recv(10) == b"x"
            client.send(b"y")
            assert other.recv(10) == b"y"

    return scene


def tls_write(limit):
    def scene():
        with tls() as (client, other):
            client.settimeout(limit)
            yield lambda: endlessly(client.sendall, BIG)
            assert other.recv(1) == b"x"

    return scene


def several(wait):
    def scene():
        ours, theirs = socket.socketpair()
        with ours, theirs:
            yield lambda: wait(ours)
            theirs.send(b"x")
            assert wait(ours)

    return scene


def poll(ours, *limit):
    poll = select.poll()
    poll.register(ours, select.POLLIN)
    return poll.poll(*limit)


def epoll(ours, *limit):
    with select.epoll() as epoll:
        epoll.register(ours, select.EPOLLIN)
        return epoll.poll(*limit)


def selector(ours):
    with selectors.DefaultSelector() as selector:
        selector.register(ours, selectors.EVENT_READ)
        return selector.select()


SCENES = {
    "recv": receive("recv", 10),
    "recv with a time limit": receive("recv", 10, limit=1000),
    "recv_into": receive("recv_into", bytearray(10)),
    "recvfrom": receive("recvfrom", 10),
    "recvmsg": receive("recvmsg", 10),
    "send": send("send", BIG),
    "send with a time limit": send("send", b"x" * 1000, limit=1000),
    "sendall": send("sendall", BIG),
    "sendall with a time limit": send("sendall", BIG, limit=1000),
    "sendmsg": send("sendmsg", [b"x" * 1000]),
    "accept": accept(None),
    "accept with a time limit": accept(1000),
    "connect": connect(None),
    "connect with a time limit": connect(1000),
    "TLS handshake": tls_handshake(None),
    "TLS handshake with a time limit": tls_handshake(1000),
    "TLS read": tls_read(None),
    "TLS read with a time limit": tls_read(1000),
    "TLS write": tls_write(None),
    "TLS write with a time limit": tls_write(1000),
    "urllib": web(urlopen),
    "http.client": web(http_client),
    "http.client with a time limit": web(lambda port: http_client(port, 1000)),
    "select": several(lambda ours: select.select([ours], [], [])[0]),
    "select with a time limit": several(lambda ours: select.select([ours], [], [], 1000)[0]),
    "poll": several(poll),
    "poll with a time limit": several(lambda ours: poll(ours, 1_000_000)),
    "epoll": several(epoll),
    "epoll with a time limit": several(lambda ours: epoll(ours, 1000)),
    "selectors": several(selector),
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_a_kill_ends_the_call_and_nothing_false_comes_of_it(scene, end):
    with contextmanager(scene)() as call:
        end(call)


@pytest.mark.skip(reason="a look-up of a name that waits needs a name server that does not answer")
def test_a_kill_ends_getaddrinfo():
    raise AssertionError
