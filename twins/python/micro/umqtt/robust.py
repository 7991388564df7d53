# MQTT that connects again, with the names that boards' firmware gives it.
import time
from umqtt import simple


class MQTTClient(simple.MQTTClient):
    DELAY, DEBUG = 2, False

    def delay(self, i):
        time.sleep(self.DELAY)

    def log(self, in_reconnect, e):
        if self.DEBUG:
            print("mqtt reconnect: %r" % e if in_reconnect else "mqtt: %r" % e)

    def reconnect(self):
        i = 0
        while True:
            try:
                return simple.MQTTClient.connect(self, False)
            except OSError as e:
                self.log(True, e)
                i += 1
                self.delay(i)

    def publish(self, topic, msg, retain=False, qos=0):
        while True:
            try:
                return simple.MQTTClient.publish(self, topic, msg, retain, qos)
            except OSError as e:
                self.log(False, e)
            self.reconnect()

    def wait_msg(self):
        while True:
            try:
                return simple.MQTTClient.wait_msg(self)
            except OSError as e:
                self.log(False, e)
            self.reconnect()

    def check_msg(self, attempts=2):
        while attempts:
            self.sock.setblocking(False)
            try:
                return simple.MQTTClient.wait_msg(self)
            except OSError as e:
                self.log(False, e)
            self.reconnect()
            attempts -= 1
