# The prompt over the network, which nobody in a run types at: what starts it goes on without.


def start(port=8266, password=None, accept_handler=None):
    print("WebREPL is not simulated: nobody can connect")


def start_foreground(port=8266, password=None):
    start(port, password)


def stop():
    pass
