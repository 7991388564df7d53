# By its older name.
from ssl import *
