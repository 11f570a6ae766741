"""`python -m kommo_sandbox`: a local Kommo as a process of its own."""

from kommo_sandbox.command import main

main()
