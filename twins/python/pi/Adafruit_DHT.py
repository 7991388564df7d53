"""DHT sensors, as Adafruit's older library for the Raspberry Pi reads them."""
import _twinfleet as _k

DHT11, DHT22, AM2302 = 11, 22, 22
SENSORS = [DHT11, DHT22, AM2302]


def read(sensor, pin, platform=None):
    """Humidity and temperature; nothing where the sensor does not answer."""
    if sensor not in SENSORS:
        raise ValueError("Expected DHT11, DHT22, or AM2302 sensor value.")
    if pin is None or not 0 <= int(pin) <= 31:
        raise ValueError("Pin must be a valid GPIO number 0 to 31.")
    answer = _k.ask("dht", int(pin))
    data = bytes.fromhex(answer[1]) if answer[0] == "ok" else b""
    if len(data) != 5 or sum(data[:4]) & 255 != data[4]:
        return (None, None)
    if sensor == DHT11:
        return (float(data[0]), float(data[2]))
    tenths = (data[2] & 127) << 8 | data[3]
    return ((data[0] << 8 | data[1]) / 10, (-tenths if data[2] & 128 else tenths) / 10)


def read_retry(sensor, pin, retries=15, delay_seconds=2, platform=None):
    for _ in range(retries):
        found = read(sensor, pin, platform)
        if found != (None, None):
            return found
        _k.sleep_ns(delay_seconds * 1_000_000_000)
    return (None, None)
