"""Register the area of the catalogue: grades, service items and fee items."""

from api.catalogue import entries
from api.registration import merge

AREA = merge([entries.REGISTRATION])
