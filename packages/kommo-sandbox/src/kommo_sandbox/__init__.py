"""A local Kommo for first runs, demos and tests: API v4 over HTTP, its state in memory.

`server.SandboxServer` runs one inside a thread, `python -m kommo_sandbox` as a process, `pytest_plugin` for tests.
What it imitates is described in the developer documentation of Kommo; what is undocumented follows the
harder reading, and `options.Options` switches to the other one.
"""
