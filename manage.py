#!/usr/bin/env python
"""Run the bridge's management commands."""

from bridge.command import main

if __name__ == "__main__":
    main()
