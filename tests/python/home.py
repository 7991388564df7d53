"""Home Assistant itself as the judge of discovery: its core with its own MQTT integration listens on a broker, until the end of
standard input, and then tells what it has made of what it heard.

    home.py PORT SECONDS FOLDER

Prints "ready" once it has subscribed, and at the end one line of JSON: its entities with the states they had, their units and
classes; devices; and what it complained of in its log.
"""

import asyncio
import json
import logging
import sys
from pathlib import Path

PORT, SECONDS, FOLDER = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]


class Complaints(logging.Handler):
    """Warnings and errors, of which discovery that it refuses is one."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.told = []

    def emit(self, record):
        cause = f": {record.exc_info[1]!r}" if record.exc_info and record.exc_info[1] else ""
        self.told.append(f"{record.name}: {record.getMessage()}{cause}")


def remember():
    """The one entry of its configuration, as its user interface would have left it in its folder; older ones are brought up to date."""
    entry = {
        "entry_id": "01JTWINFLEET0000000000TEST", "version": 1, "domain": "mqtt", "title": "broker",
        "data": {"broker": "127.0.0.1", "port": PORT, "discovery": True}, "options": {}, "pref_disable_new_entities": False,
        "pref_disable_polling": False, "source": "user", "unique_id": None, "disabled_by": None,
    }
    store = Path(FOLDER) / ".storage"
    store.mkdir(parents=True, exist_ok=True)
    (Path(FOLDER) / "configuration.yaml").touch()
    kept = {"version": 1, "minor_version": 1, "key": "core.config_entries", "data": {"entries": [entry]}}
    (store / "core.config_entries").write_text(json.dumps(kept))
    return entry["entry_id"]


async def main():
    from homeassistant import bootstrap, config_entries, loader
    from homeassistant.const import EVENT_STATE_CHANGED
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers import device_registry, entity_registry

    complaints = Complaints()
    logging.getLogger("homeassistant").addHandler(complaints)
    id_of_entry = remember()
    hass = HomeAssistant(FOLDER)
    hass.config.skip_pip = True
    # What its server for browsers would bring is not judged here, and wants more packages than discovery does.
    hass.config.components.update({"http", "file_upload"})
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    loader.async_setup(hass)
    await bootstrap.async_load_base_functionality(hass)
    states = {}

    def changed(event):
        new = event.data["new_state"]
        if new is not None:
            states.setdefault(new.entity_id, []).append(new.state)

    hass.bus.async_listen(EVENT_STATE_CHANGED, changed)
    await hass.config_entries.async_setup(id_of_entry)
    entry = hass.config_entries.async_get_entry(id_of_entry)
    assert entry.state is config_entries.ConfigEntryState.LOADED, (entry.state, entry.reason, complaints.told)
    await hass.async_start()
    await hass.async_block_till_done()
    print("ready", flush=True)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.wait([ended], timeout=SECONDS)
    await asyncio.sleep(0.5)

    entities, devices = entity_registry.async_get(hass), device_registry.async_get(hass)
    found = {}
    for e in entities.entities.values():
        now, device = hass.states.get(e.entity_id), devices.async_get(e.device_id) if e.device_id else None
        found[e.unique_id] = {
            "domain": e.domain, "states": states.get(e.entity_id, []), "unit": e.unit_of_measurement, "device_class": e.original_device_class,
            "name": e.original_name, "last": now.state if now else None, "device": device.name if device else None,
        }
    print(json.dumps({"entities": found, "complaints": complaints.told}), flush=True)
    await hass.async_stop(force=True)


asyncio.run(main())
