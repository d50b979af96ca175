"""What holds for every test."""

from hypothesis import settings

# No test is timed: how long an example takes says more about the machine than about the code.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")
