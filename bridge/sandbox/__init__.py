"""A local Kommo for first runs, demos and tests: API v4 over HTTP, its state in memory, nothing of Django.

`server.SandboxServer` runs one inside a thread (tests), `manage.py kommo_sandbox` as its own process.
What it imitates is described in the developer documentation of Kommo; what is undocumented follows the
harder reading, and `options.Options` switches to the other one.
"""
