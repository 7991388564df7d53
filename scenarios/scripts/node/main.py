"""An ESP32 with a SHT31, a DS18B20 and a soil probe: MicroPython as it would be copied to the board."""
import json
import time

import ds18x20
import machine
import network
import onewire
import ubinascii
from umqtt.simple import MQTTClient

from sht31 import SHT31

wlan = network.WLAN(network.STA_IF)
wlan.active(True)
if not wlan.isconnected():
    wlan.connect("greenhouse", "secret")
    while not wlan.isconnected():
        time.sleep_ms(100)

i2c = machine.I2C(0, scl=machine.Pin(22), sda=machine.Pin(21), freq=400000)
climate = SHT31(i2c)
wire = ds18x20.DS18X20(onewire.OneWire(machine.Pin(4)))
roms = wire.scan()
soil = machine.ADC(machine.Pin(34), atten=machine.ADC.ATTN_11DB)

name = network.hostname()
client = MQTTClient(ubinascii.hexlify(machine.unique_id()), "broker.local", keepalive=60)
client.connect()

while True:
    wire.convert_temp()
    time.sleep_ms(750)
    celsius, humidity = climate.measure()
    client.publish(
        "plants/%s/climate" % name,
        json.dumps({
            "climate.temperature": celsius,
            "climate.humidity": humidity,
            "probe.temperature": wire.read_temp(roms[0]),
            "soil": soil.read_u16(),
        }),
        qos=1,
    )
    time.sleep(9)
