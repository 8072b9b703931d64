"""Dead letters sent again: which, whether it would help, and what became of each.

Owns the selection of letters, the judgement by which one that is still wrong is not sent, the sending, and the watch on
what the workers make of it. Reads and writes Kafka through `streams`; prints nothing, which is the commands' part.

Read in this order: `selection` (which letters), `history` (what became of them before), `judging` with `reading` (what
a letter would become now), `passage` (how what was sent passes through the workers), `retry` (the steps, numbered).
"""
