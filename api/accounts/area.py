"""Register the area of accounts: users, their sessions, devices and clocks."""

from api.accounts import device_clocks, devices, sessions, users
from api.registration import merge

AREA = merge([device_clocks.REGISTRATION, devices.REGISTRATION, sessions.REGISTRATION, users.REGISTRATION])
