"""How hypothesis tries laws: without a deadline, because a busy machine breaks none of them."""

from hypothesis import settings

law = settings(deadline=None, max_examples=60)
