"""The lookup under load: how long answers take while events keep coming, and how many a second it can give.

`client` asks at fixed moments, whatever the answers. `contexts` makes a million customers at once. `measuring` puts it
together.
"""

from bench.lookup_load.measuring import LookupLoad, LookupPlan, lines, measure

__all__ = ["LookupLoad", "LookupPlan", "lines", "measure"]
