"""Property tests are judged by what they find: on a busy machine an example may take any time."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
