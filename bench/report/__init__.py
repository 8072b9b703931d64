"""One report of all benchmarks: figures against targets, as Markdown, as JSON and as pictures.

Owns the targets, what is said of the machine, and how results are shown; what is measured is of the packages beside it.

Read in this order: `machine`, `making` (which parts are measured, and the files), `targets` (met or not), `costs`
(of a million events, and what a pace needs), `document` (the Markdown), `pictures` and `drawing` (which runs in an
environment of its own, where matplotlib is).
"""
