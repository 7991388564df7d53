"""CircuitPython's mDNS: it tells nobody, and finds nobody; devices of a run are found by their ids."""


class Server:
    def __init__(self, network_interface):
        self.hostname = self.instance_name = network_interface.hostname

    def advertise_service(self, *, service_type, protocol, port, txt_records=()):
        pass

    def find(self, service_type, protocol, *, timeout=1):
        return ()

    def deinit(self):
        pass
