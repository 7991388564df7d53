"""What paho-mqtt, a client that others wrote, sees of the broker at the loopback port given as argument."""

import queue
import sys

import paho.mqtt.client as mqtt

PORT = int(sys.argv[1])
WAIT_S = 30


def client(name, clean=True, will=None):
    """A connected client that puts what it receives into its `box`."""
    try:
        c = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, clean_session=clean)
    except AttributeError:  # paho 1.x
        c = mqtt.Client(client_id=name, clean_session=clean)
    c.box, c.ready = queue.Queue(), queue.Queue()
    c.on_message = lambda c, u, m: c.box.put((m.topic, m.payload, m.qos, m.retain))
    c.on_connect = lambda c, u, flags, *rest: c.ready.put(flags)
    c.on_subscribe = lambda c, u, mid, *rest: c.ready.put(mid)
    c.on_unsubscribe = lambda c, u, mid, *rest: c.ready.put(mid)
    c.max_inflight_messages_set(100)
    if will:
        c.will_set(*will)
    c.connect("127.0.0.1", PORT, keepalive=5)
    c.loop_start()
    c.ready.get(timeout=WAIT_S)
    return c


def subscribe(c, *filters):
    c.subscribe(list(filters))
    c.ready.get(timeout=WAIT_S)


def take(c, n):
    return [c.box.get(timeout=WAIT_S) for _ in range(n)]


def leave(c):
    c.disconnect()
    c.loop_stop()


def main():
    sub, pub = client("sub"), client("pub")
    subscribe(sub, ("a/+/x", 2), ("big", 1))
    for qos in (0, 1, 2):
        sent = [(f"a/{i % 7}/x", f"{qos}-{i}".encode(), qos, False) for i in range(500)]
        for topic, payload, q, _ in sent:
            pub.publish(topic, payload, q)
        got = take(sub, 500)
        assert got == sent, f"QoS {qos}: {next((a, b) for a, b in zip(got, sent) if a != b)}"

    big = bytes(range(256)) * 8192  # 2 MiB
    pub.publish("big", big, 1)
    assert take(sub, 1)[0][1] == big

    sub.unsubscribe("big")
    sub.ready.get(timeout=WAIT_S)
    pub.publish("big", b"unheard", 1)
    pub.publish("a/1/x", b"heard", 1)
    assert take(sub, 1)[0][1] == b"heard"

    pub.publish("kept/one", b"1", 1, retain=True).wait_for_publish(WAIT_S)
    subscribe(sub, ("kept/#", 1))
    assert take(sub, 1) == [("kept/one", b"1", 1, True)]

    away = client("away", clean=False)
    subscribe(away, ("later", 2))
    leave(away)
    for i in range(50):
        pub.publish("later", str(i).encode(), 1 + i % 2).wait_for_publish(WAIT_S)
    away = client("away", clean=False)
    got = take(away, 50)
    # Order is promised within one quality of service: a client hands out QoS 2 only when it is released.
    for qos in (1, 2):
        assert [m[1] for m in got if m[2] == qos] == [str(i).encode() for i in range(50) if 1 + i % 2 == qos]
    leave(away)

    subscribe(sub, ("will", 1))
    dying = client("dying", will=("will", b"gone", 1, False))
    dying._sock_close()  # without DISCONNECT
    assert take(sub, 1)[0][1] == b"gone"
    dying.loop_stop()

    leave(pub)
    leave(sub)
    print("paho: ok")


main()
