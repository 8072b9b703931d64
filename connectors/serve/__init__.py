"""The lookup service: contexts and interactions over HTTP, from a local copy, in a process of its own.

Owns the lookup's own rows, the answers, their routes, and the readers behind `goldenthread tail` and `customer get`.
Reads topics and writes none; must not import `agents` or other connectors but `connectors.web`.

Read in this order: `layout` (the rows of the copy), `projection` (records to rows), `finding` (an identifier to its
place), `fragments` (an identifier's own events alone), `graded` (what a careful reader is spared), `questions` and
`answers` (what is asked, and what is said to it), `timeline` (pages of interactions), `explaining/` (why), `problems`,
`handlers` and `operations` (HTTP), `page/` (for people, at `/`), `copy_figures` (metrics of the copy), `service` (the
process); then `tail` and `client`, which the command line uses.
"""
