"""What `goldenthread drill` drills: an installation of its own, and what may be done to its processes.

Read: installation. The drill itself is `bench.drill`, the command `goldenthread.commands.drill`.
"""
