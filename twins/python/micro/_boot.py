import sys
sys.path.insert(1, "/shim")
import _twinfleet
