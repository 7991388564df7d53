# The network's time: the run's.
host, timeout = "pool.ntp.org", 1


def time():
    import time
    return time.time()


def settime():
    pass
