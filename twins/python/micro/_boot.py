import sys
sys.path.append("/shim")
import _twinfleet
