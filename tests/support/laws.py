"""How often hypothesis tries a law: few times as a rule, many with `pytest --hypothesis-profile thorough`.

No law has a deadline, because a busy machine breaks none of them.
"""

from hypothesis import HealthCheck, settings

PROFILES = {"quick": 40, "thorough": 1000}  # name: examples of each law


def costly(share: float) -> settings:
    """For a law of which each example takes long: this share of the profile's examples, ten at least."""
    return settings(max_examples=max(10, round(share * settings().max_examples)))


def register_profiles() -> None:
    """For conftest.py; the option loads another one than `quick` after that."""
    for name, examples in PROFILES.items():
        settings.register_profile(
            name, deadline=None, max_examples=examples, suppress_health_check=[HealthCheck.function_scoped_fixture]
        )
    settings.load_profile("quick")
