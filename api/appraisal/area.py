"""Register appraisal: ratings."""

from api.appraisal import ratings
from api.registration import merge

AREA = merge([ratings.REGISTRATION])
