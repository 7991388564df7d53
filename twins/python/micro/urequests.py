# By its older name.
from requests import *
