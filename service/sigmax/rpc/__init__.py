"""The gRPC door: bytes in, bytes out. It parses, calls dispatch and renders; it decides nothing."""
