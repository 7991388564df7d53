"""Judges of the dialects: what clients and devices that others wrote say and hear.

`dialects.py hear PORT SECONDS`     a host in each dialect; prints what each heard as JSON
`dialects.py devices PORT SECONDS`  scripted devices, as real ones of their kind speak
`dialects.py record PORT SECONDS`   every message and what the broker keeps, as JSON

`hear` and `record` end when their standard input does, or after SECONDS.
"""

import base64
import json
import sys
import threading
import time

import paho.mqtt.client as mqtt

MODE, PORT, SECONDS = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])


def enough():
    """Waits until the test closes standard input, and for what is still under way."""
    done = threading.Thread(target=sys.stdin.read, daemon=True)
    done.start()
    done.join(SECONDS)
    time.sleep(1)


def client(name, will=None, on_message=None):
    """A connected client with its loop running."""
    try:
        c = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name)
    except AttributeError:  # paho 1.x
        c = mqtt.Client(client_id=name)
    ready = threading.Event()
    c.on_connect = lambda *_: ready.set()
    c.on_subscribe = lambda *_: ready.set()
    if on_message:
        c.on_message = lambda _c, _u, m: on_message(m)
    if will:
        c.will_set(*will)
    c.connect("127.0.0.1", PORT, keepalive=5)
    c.loop_start()
    assert ready.wait(20), "no connection"
    c.ready = ready
    return c


def subscribe(c, *filters):
    c.ready.clear()
    c.subscribe([(f, 1) for f in filters])
    assert c.ready.wait(20), "no subscription"


def hear():
    """Everything that our devices say, read by others' decoders: device → field → values."""
    import cbor2
    import pysparkplug
    from hatasmota.discovery import TasmotaDiscoveryMsg, get_sensor_entities
    from kpn_senml import SenmlPack
    from mqtt_spb_wrapper.spb_protobuf import Payload as SpbPayload
    from mqtt_spb_wrapper.spb_protobuf import getMetricValue

    got, births, aliases, tasmota, notes = {}, {}, {}, {}, {}

    def value(judge, device, field, v):
        if v is not None:
            got.setdefault(f"{judge}:{device}", {}).setdefault(field, []).append(v)

    def note(key, what):
        notes.setdefault(key, []).append(what)

    def sparkplug(m):
        topic = pysparkplug.Topic.from_str(m.topic)
        if topic.message_type == pysparkplug.MessageType.STATE:
            return
        key = (topic.group_id, topic.edge_node_id, topic.device_id)
        message = pysparkplug.Message.from_mqtt_message(m, birth=births.get(key))
        if isinstance(message.payload, (pysparkplug.NBirth, pysparkplug.DBirth)):
            births[key] = message.payload
        device = "/".join(k for k in key if k)
        note("sparkplug " + device, topic.message_type.value)
        for metric in getattr(message.payload, "metrics", None) or []:
            value("pysparkplug", device, metric.name, metric.value)
        # The same bytes through the second implementation.
        payload = SpbPayload()
        payload.ParseFromString(m.payload)
        for metric in payload.metrics:
            if metric.name:
                aliases[(key, metric.alias)] = metric.name
            name = metric.name or aliases.get((key, metric.alias))
            value("mqtt-spb-wrapper", device, name, getMetricValue(metric))

    def home(m):
        config = json.loads(m.payload)
        for c in config.get("cmps", {"": config}).values():
            unit = c.get("unit_of_measurement") or c.get("unit_of_meas")
            note("discovery", [m.topic, unit, bool(c.get("unique_id") or c.get("uniq_id"))])

    begun = threading.Event()

    def on_message(m):
        t = m.topic
        try:
            if t.startswith("spBv1.0/"):
                begun.set()
                sparkplug(m)
            elif t.startswith("tasmota/discovery/"):
                mac, kind = t.split("/")[2:]
                tasmota[kind] = json.loads(m.payload)
                if kind == "config":
                    message = TasmotaDiscoveryMsg(tasmota[kind])  # raises where the schema is not met
                    assert message["mac"] == mac, message
                if len(tasmota) == 2 and "units" not in tasmota:
                    config = TasmotaDiscoveryMsg(tasmota["config"])
                    tasmota["units"] = True
                    for entity, _ in get_sensor_entities(tasmota["sensors"], config):
                        note("tasmota entity", [entity.friendly_name, entity.quantity, entity.unit])
            elif t.startswith("tele/") and t.endswith("/SENSOR"):
                for sensor, fields in json.loads(m.payload).items():
                    if isinstance(fields, dict):
                        for field, v in fields.items():
                            value("json", t, f"{sensor}/{field}", v)
            elif t in ("lab/probe", "lab/probe-2"):
                # Its iterator yields nothing; what it parses it tells by its callback.
                pack = SenmlPack("ours", callback=lambda r, device=None: value("kpn-senml", t, r.name, r.value))
                if t == "lab/probe":
                    pack.from_json(m.payload.decode())
                else:
                    pack.from_cbor(m.payload)
            elif t == "fleet/c":
                for part, fields in cbor2.loads(m.payload).items():
                    if isinstance(fields, dict):
                        for field, v in fields.items():
                            value("cbor2", t, f"{part}/{field}", v)
            elif t.startswith("homeassistant/") and t.endswith("/config"):
                home(m)
            elif t.startswith("$aws/") and t.endswith("/shadow/update"):
                state = json.loads(m.payload)["state"]["reported"]
                for part, fields in state.items():
                    for field, v in fields.items():
                        value("json", t, f"{part}/{field}", v)
            elif t.startswith("attic/sensor/"):
                value("plain", "attic", t.split("/")[2], float(m.payload))
            elif t == "zigbee2mqtt/hall":
                for field, v in json.loads(m.payload).items():
                    value("json", t, field, v)
            elif t.startswith("stat/plug-1/STATUS"):
                note("status", json.loads(m.payload))
        except Exception as e:  # told, not lost in the network thread
            note("errors", f"{t}: {type(e).__name__}: {e}")

    c = client("judge", on_message=on_message)
    subscribe(c, "#", "$aws/#")
    print("ready", flush=True)
    begun.wait(SECONDS)
    time.sleep(2)
    # A device is asked, as Tasmota's users and Sparkplug's hosts do.
    c.publish("cmnd/plug-1/Status", "10")
    rebirth = pysparkplug.Metric(timestamp=1, name="Node Control/Rebirth", datatype=pysparkplug.DataType.BOOLEAN, value=True)
    ask = pysparkplug.NCmd(timestamp=1, metrics=(rebirth,))
    c.publish("spBv1.0/plant/NCMD/cell-1", ask.encode(include_dtypes=True))
    enough()
    c.disconnect()
    c.loop_stop()
    print(json.dumps({"got": got, "notes": notes}))


def iso():
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())


class Devices:
    """Each as the real one speaks; once a step all of them report."""

    def __init__(self):
        import pysparkplug

        self.sp = pysparkplug
        self.plug = client("plug", will=("tele/plug/LWT", "Offline", 1, True))
        self.attic = client("attic", will=("attic/status", "offline", 0, True))
        self.bridge = client("bridge", will=("zigbee2mqtt/bridge/state", '{"state":"offline"}', 1, True))
        self.pump = client("pump", will=("garden/pump/availability", "offline", 1, True))
        self.other = client("other")
        self.births()

    def births(self):
        mac = "AABBCCDDEEFF"
        config = {
            "ip": "192.168.1.20", "dn": "Plug", "fn": ["Plug"] + [None] * 7, "hn": "plug-1234", "mac": mac, "md": "Sonoff S31", "ty": 0,
            "if": 0, "cam": 0, "ofln": "Offline", "onln": "Online", "state": ["OFF", "ON", "TOGGLE", "HOLD"], "sw": "14.2.0", "t": "plug",
            "ft": "%prefix%/%topic%/", "tp": ["cmnd", "stat", "tele"], "rl": [0] * 32, "swc": [-1] * 28, "swn": [None] * 28, "btn": [0] * 32,
            "so": {"4": 0, "11": 0, "13": 0, "17": 0, "20": 0, "30": 0, "68": 0, "73": 0, "82": 0, "114": 0, "117": 0}, "lk": 0,
            "lt_st": 0, "bat": 0, "dslp": 0, "sho": [0] * 4, "sht": [[0, 0, 0]] * 4, "ver": 1,
        }
        self.plug.publish("tele/plug/LWT", "Online", 0, True)
        self.plug.publish("cmnd/plug/POWER", "")
        info = {"Info1": {"Module": "Sonoff S31", "Version": "14.2.0(tasmota)", "FallbackTopic": "cmnd/DVES_DDEEFF_fb/", "GroupTopic": "cmnd/tasmotas/"}}
        self.plug.publish("tele/plug/INFO1", json.dumps(info))
        self.plug.publish("tele/plug/INFO2", json.dumps({"Info2": {"WebServerMode": "Admin", "Hostname": "plug-1234", "IPAddress": "192.168.1.20"}}))
        self.plug.publish("tele/plug/INFO3", json.dumps({"Info3": {"RestartReason": "Power On", "BootCount": 7}}))
        self.plug.publish(f"tasmota/discovery/{mac}/config", json.dumps(config), 0, True)
        self.plug.publish(f"tasmota/discovery/{mac}/sensors", json.dumps({"sn": self.sensor(0), "ver": 1}), 0, True)

        self.attic.publish("attic/status", "online", 0, True)
        dev = {"ids": "a1b2c3d4e5f6", "name": "attic", "sw": "esphome v2026.10.0", "mdl": "esp32dev", "mf": "Espressif", "cns": [["mac", "a1b2c3d4e5f6"]]}
        for oid, cla, unit in (("left_temperature", "temperature", "°C"), ("air_humidity", "humidity", "%")):
            c = {"dev_cla": cla, "unit_of_meas": unit, "stat_cla": "measurement", "name": oid.replace("_", " "), "stat_t": f"attic/sensor/{oid}/state",
                 "avty_t": "attic/status", "uniq_id": f"a1b2c3d4e5f6-sensor-{oid}", "dev": dev}
            self.attic.publish(f"homeassistant/sensor/attic/{oid}/config", json.dumps(c), 0, True)

        def expose(p, unit):
            return {"type": "numeric", "name": p, "label": p, "property": p, "access": 1, "unit": unit, "description": f"Measured {p}"}

        quality = {**expose("linkquality", "lqi"), "category": "diagnostic", "value_min": 0, "value_max": 255}

        devices = [
            {"ieee_address": "0x00124b0000000001", "type": "Coordinator", "network_address": 0, "supported": True, "friendly_name": "Coordinator",
             "definition": None, "interview_completed": True, "interviewing": False, "disabled": False},
            {"ieee_address": "0x00124b0000000002", "type": "EndDevice", "network_address": 7, "supported": True, "friendly_name": "hall", "disabled": False,
             "power_source": "Battery", "interview_completed": True, "interviewing": False, "endpoints": {},
             "definition": {"model": "WSDCGQ11LM", "vendor": "Aqara", "description": "Climate sensor", "options": [], "supports_ota": False,
                            "exposes": [expose("temperature", "°C"), expose("humidity", "%"), quality]}},
        ]
        self.bridge.publish("zigbee2mqtt/bridge/state", '{"state":"online"}', 1, True)
        info = {"version": "2.6.3", "commit": "abc1234", "coordinator": {"type": "ZStack3x0", "ieee_address": "0x00124b0000000001", "meta": {"revision": 1}},
                "network": {"channel": 11, "pan_id": 6754, "extended_pan_id": "0xdd"}, "log_level": "info", "permit_join": False, "restart_required": False}
        self.bridge.publish("zigbee2mqtt/bridge/info", json.dumps(info), 0, True)
        self.bridge.publish("zigbee2mqtt/bridge/devices", json.dumps(devices), 0, True)
        self.bridge.publish("zigbee2mqtt/bridge/groups", "[]", 0, True)
        self.bridge.publish("zigbee2mqtt/hall/availability", '{"state":"online"}', 1, True)

        config = {"dev": {"ids": ["pump01"], "name": "Pump", "mf": "Own", "mdl": "P1"}, "o": {"name": "own"},
                  "state_topic": "garden/pump/state", "availability_topic": "garden/pump/availability", "qos": 1,
                  "cmps": {"flow": {"p": "sensor", "name": "flow", "unique_id": "pump01_flow", "unit_of_measurement": "L/min", "value_template": "{{ value_json.flow }}"},
                           "volts": {"p": "sensor", "name": "volts", "unique_id": "pump01_volts", "device_class": "voltage", "unit_of_measurement": "V",
                                     "value_template": "{{ value_json.supply.volts | float }}"}}}
        self.pump.publish("homeassistant/device/pump01/config", json.dumps(config), 1, True)
        self.pump.publish("garden/pump/availability", "online", 1, True)

        M, D = self.sp.Metric, self.sp.DataType
        now = int(time.time() * 1000)
        self.node = self.sp.EdgeNode("plant", "press", [M(now, "uptime", D.UINT32, 0)])
        self.node.connect("127.0.0.1", port=PORT)
        time.sleep(0.5)
        self.node.register(self.sp.Device("oil", [M(now, "temperature", D.DOUBLE, 0.0), M(now, "level", D.INT16, 0)]))
        self.node.register(self.sp.Device("water", [M(now, "flow", D.FLOAT, 0.0), M(now, "valve/open", D.BOOLEAN, False), M(now, "serial", D.STRING, "W-7")]))

    @staticmethod
    def sensor(k):
        return {"Time": iso(), "AM2301": {"Temperature": round(68.0 + 0.9 * (k % 5), 1), "Humidity": round(40 + 0.5 * (k % 7), 1)},
                "DS18B20": {"Id": "0000062F3C7B", "Temperature": round(50 + 0.9 * (k % 3), 1)}, "TempUnit": "F"}

    def step(self, k):
        import cbor2

        state = {"Time": iso(), "Uptime": "0T00:00:10", "UptimeSec": 10 + k, "Heap": 25, "SleepMode": "Dynamic", "Sleep": 50, "LoadAvg": 19, "MqttCount": 1,
                 "Wifi": {"AP": 1, "SSId": "home", "BSSId": "AA:BB:CC:DD:EE:01", "Channel": 6, "Mode": "11n", "RSSI": 80, "Signal": -60, "LinkCount": 1,
                          "Downtime": "0T00:00:03"}}
        self.plug.publish("tele/plug/STATE", json.dumps(state))
        self.plug.publish("tele/plug/SENSOR", json.dumps(self.sensor(k)))
        self.attic.publish("attic/sensor/left_temperature/state", f"{20 + 0.1 * (k % 6):.1f}", 0, True)
        self.attic.publish("attic/sensor/air_humidity/state", f"{50 + (k % 4)}", 0, True)
        hall = {"battery_low": False, "humidity": 45.5 + k % 3, "linkquality": 120, "temperature": 21.25 + 0.25 * (k % 4)}
        self.bridge.publish("zigbee2mqtt/hall", json.dumps(hall))
        self.pump.publish("garden/pump/state", json.dumps({"flow": 3.5 + 0.5 * (k % 3), "supply": {"volts": 12.1 + 0.1 * (k % 2)}}), 1)
        M, D = self.sp.Metric, self.sp.DataType
        now = int(time.time() * 1000)
        self.node.update_device("oil", [M(now, "temperature", D.DOUBLE, 60.0 + 0.5 * (k % 4)), M(now, "level", D.INT16, -5 + k % 3)])
        self.node.update_device("water", [M(now, "flow", D.FLOAT, 1.5 + 0.25 * (k % 5)), M(now, "valve/open", D.BOOLEAN, k % 4 < 2)])
        self.node.update([M(now, "uptime", D.UINT32, 5 * k)])
        reported = {"state": {"reported": {"water": {"temperature": 55.5 + k % 3}, "mode": "eco"}}, "clientToken": f"boiler-{k}"}
        self.other.publish("$aws/things/boiler/shadow/update", json.dumps(reported), 1)
        pack = [{"bn": "urn:dev:mac:0024befffe804ff1:", "bt": round(time.time(), 3), "n": "temp", "u": "Cel", "v": 23.5 + 0.5 * (k % 3)}, {"n": "rh", "u": "%RH", "v": 41 + k % 2}]
        self.other.publish("lab/senml", json.dumps(pack))
        labels = {"bn": -2, "bt": -3, "n": 0, "u": 1, "v": 2}
        self.other.publish("lab/senml-cbor", cbor2.dumps([{labels[key]: v for key, v in r.items()} for r in pack]))
        self.other.publish("fleet/c", cbor2.dumps({"ts": int(time.time() * 1000), "air": {"temperature": 19.5 + 0.5 * (k % 3)}}))
        self.other.publish("fleet/j", json.dumps({"ts": int(time.time() * 1000), "air": {"temperature": 18.5 + 0.5 * (k % 3)}, "firmware": "1.2"}))
        self.other.publish("shed/door/angle", f"{5 * (k % 4)}")


def devices():
    d = Devices()
    print("ready", flush=True)
    end = time.time() + SECONDS
    k = 0
    while time.time() < end:
        d.step(k)
        k += 1
        time.sleep(0.5)


def record():
    import pysparkplug

    box, lock, begin = [], threading.Lock(), time.time()
    births, updates = {}, {}

    def sparkplug(m):
        """What births declare, and what data says between two of them, as pysparkplug reads it."""
        key = m.topic.replace("DATA", "BIRTH")
        message = pysparkplug.Message.from_mqtt_message(m, birth=births.get(key, (None,))[0] if "DATA" in m.topic else None)
        if m.topic == key:
            births[key] = (message.payload, {x.name: x.datatype.name for x in message.payload.metrics})
        else:
            for x in message.payload.metrics:
                updates.setdefault(m.topic, {}).setdefault(x.name, set()).add(type(x.value).__name__)

    def on_message(m):
        if m.topic.startswith("spBv1.0/") and ("BIRTH" in m.topic or "DATA" in m.topic):
            sparkplug(m)
        with lock:
            box.append({"t": time.time() - begin, "topic": m.topic, "qos": m.qos, "payload": base64.b64encode(m.payload).decode()})

    c = client("recorder", on_message=on_message)
    c.ready.clear()
    c.subscribe([("#", 2), ("$aws/#", 2)])
    assert c.ready.wait(20)
    print("ready", flush=True)
    enough()
    c.disconnect()
    c.loop_stop()
    kept = {}

    def on_kept(m):
        if m.retain:
            kept[m.topic] = base64.b64encode(m.payload).decode()

    late = client("late", on_message=on_kept)
    subscribe(late, "#", "$aws/#")
    time.sleep(1)
    late.disconnect()
    late.loop_stop()
    declared = {topic: names for topic, (_, names) in births.items()}
    said = {topic: {name: sorted(kinds) for name, kinds in names.items()} for topic, names in updates.items()}
    print(json.dumps({"messages": box, "kept": kept, "declared": declared, "said": said}))


{"hear": hear, "devices": devices, "record": record}[MODE]()
