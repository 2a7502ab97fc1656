"""For all tests: no property-based test fails for being slow, since how slow it is depends on the machine's load."""

from hypothesis import HealthCheck, settings

settings.register_profile("natlab", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("natlab")
