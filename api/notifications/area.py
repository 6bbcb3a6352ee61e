"""Register the operations on subscriptions, push tokens and webhooks, and their background jobs."""

from api.notifications import push_tokens, subscriptions, webhooks
from api.notifications.jobs import JOBS
from api.registration import Registration, merge

AREA = merge([push_tokens.REGISTRATION, subscriptions.REGISTRATION, webhooks.REGISTRATION, Registration(jobs=JOBS)])
