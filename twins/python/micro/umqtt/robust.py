# MQTT that connects again, with the names that boards' firmware gives it.
import time
from umqtt import simple


class MQTTClient(simple.MQTTClient):
    DELAY, DEBUG = 2, False

    def reconnect(self):
        while True:
            try:
                return simple.MQTTClient.connect(self, False)
            except OSError:
                time.sleep(self.DELAY)

    def publish(self, topic, msg, retain=False, qos=0):
        while True:
            try:
                return simple.MQTTClient.publish(self, topic, msg, retain, qos)
            except OSError:
                self.reconnect()

    def wait_msg(self):
        while True:
            try:
                return simple.MQTTClient.wait_msg(self)
            except OSError:
                self.reconnect()

    def check_msg(self, attempts=2):
        while attempts:
            self.sock.setblocking(False)
            try:
                return simple.MQTTClient.wait_msg(self)
            except OSError:
                self.reconnect()
            attempts -= 1
