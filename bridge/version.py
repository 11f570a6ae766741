"""Which version this is. The newest release of the changelog has the same number; a test holds them together."""

VERSION = "0.1.0"
