# Boards have threads; this build of MicroPython has none.
raise ImportError("no module named '_thread': threads of MicroPython are not simulated; asyncio and machine.Timer are")
