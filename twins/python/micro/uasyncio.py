# The old name.
from asyncio import *
from asyncio import _loop
