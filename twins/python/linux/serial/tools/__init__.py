"""pyserial's tools."""
