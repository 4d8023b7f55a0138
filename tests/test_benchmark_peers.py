"""benchmarks/: peers behind a broker, those of them that are installed, and the protocol of MQTT."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from benchmarks.install import node_folder, program, python_folder
from benchmarks.readers import MqttReader
from benchmarks.servers import SERVERS
from tests.test_benchmarks import benchmarks, results, two_cores

BROKERS = ("mosquitto", "pushpin", "redis-ws", "socket.io-redis")


@two_cores
@pytest.mark.parametrize("peer", BROKERS)
def test_clients_of_a_broker_are_exact(peer: str, tmp_path: Path) -> None:
    needs = SERVERS[peer].needs
    folders = [*map(python_folder, needs.python), *(node_folder() / "node_modules" / name for name in needs.node)]
    if any(program(tool) == tool for tool in needs.tools) or not all(folder.exists() for folder in folders):
        pytest.skip(f"{peer} is not installed")
    small = ("--clients", "10", "--rate", "200", "--seconds", "1", "--rounds", "1", "--results", str(tmp_path))
    done = benchmarks("W2", "--peers", peer, *small)
    assert done.returncode == 0, done.stdout + done.stderr
    (sample,) = [each for each in results(tmp_path)["samples"] if each["server"] == peer]
    assert (sample["void"], sample["wrong"]) == ("", "")
    assert sample["metrics"]["values"] == sample["metrics"]["offered"] > 0


def mqtt(kind: int, body: bytes) -> bytes:
    length = len(body)
    return bytes((kind, length)) + body if length < 128 else bytes((kind, length % 128 + 128, length // 128)) + body


def test_mqtt_packets_are_read_wherever_they_are_cut() -> None:
    prices = [(7, 10_001), (300, 10_002), (7, 10_003)]
    topics = (b"u/7", b"u/300", b"u/" + b"0" * 200 + b"7")
    published = [
        mqtt(0x30 + retained, len(topic).to_bytes(2, "big") + topic + struct.pack("<IId", *price, 0.0))
        for retained, topic, price in zip((1, 0, 0), topics, prices, strict=True)
    ]
    data = b"".join([mqtt(0x20, b"\0\0"), mqtt(0x90, b"\0\x01\0\0"), *published])
    for cut in range(len(data) + 1):
        reader = MqttReader()
        assert reader.read([data[:cut]]) + reader.read([data[cut:]]) == prices
        assert (reader.subscribed, reader.fault) == (True, "")


def test_what_a_broker_refuses_is_a_fault_of_its_clients() -> None:
    reader = MqttReader()
    reader.read([mqtt(0x20, b"\0\x05")])
    assert reader.fault == "the connection was refused: 5"
    reader = MqttReader()
    reader.read([mqtt(0x90, b"\0\x01\0\x80")])
    assert reader.fault == "a subscription was refused: 128"


def test_a_watchlist_of_fifty_topics_is_one_mqtt_packet_with_its_length_in_two_bytes() -> None:
    connect, subscribe = MqttReader().subscription_payloads(range(50))
    assert connect == bytes.fromhex("10 0c 0004 4d515454 04 02 0000 0000".replace(" ", ""))
    body = b"\0\x01" + b"".join(b"\0%cu/%d\0" % (2 + len(str(each)), each) for each in range(50))
    assert subscribe == mqtt(0x82, body)
    assert len(body) > 127
