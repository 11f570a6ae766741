from bridge.command import main

main()
