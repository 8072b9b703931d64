"""The composition root: settings, command line, processes, and the supervisor behind `goldenthread up`.

Owns nothing that runs on its own: it reads settings, puts the parts of the other rooms together, and starts them. May
import every room; no room imports it.

Read in this order: `setting_values` and `settings`, `secret`, `parts` and `access` (what everything is made from),
`processes/` (worker, collect, lookup), `cli` and `commands/` (the command line), `supervisor/` (children of `up`),
`local_broker` (theirs, or a command's), `doctor/` (checks of an installation).

Behind `goldenthread state`: `stage_options` (what a stage commits and restores by, for the worker too), `stores` (which
there may be), `still_stores` (those that nobody writes to), `rebuilding`, `snapshots`. Behind `dead retry`:
`dead_letters/`. Behind `identity rehearse` and `apply`: `rehearsing`. What `goldenthread drill` drills: `drill/`. The
identity stage for whoever measures it: `identity_alone`.
"""
